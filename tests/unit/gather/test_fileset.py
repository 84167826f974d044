"""The set of files and links of a bundle: which name leads where, and what comes first where two want one place."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.files.diskroot import DiskRoot
from corebox.gather.files import FileSet
from tests.unit.gather.sites import link, put, put_elf

APP = "/opt/app/bin/app"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put_elf(tmp_path, APP, "01")
    return tmp_path


@pytest.fixture
def taken(root: Path) -> Iterator[FileSet]:
    """A set with the program."""
    with DiskRoot(str(root)) as disk:
        files = FileSet(disk)
        assert files.want(APP, "executable")
        yield files


def links(files: FileSet) -> dict[str, str]:
    files.drop_conflicts()
    return {each.path: each.target for each in files.symlinks()}


def test_a_name_that_leads_elsewhere_today_is_a_link_to_the_file(taken: FileSet) -> None:
    taken.name("/usr/bin/app", APP)
    assert links(taken) == {"/usr/bin/app": "../../opt/app/bin/app"}


def test_the_links_on_the_way_come_with_a_name(taken: FileSet, root: Path) -> None:
    link(root, "/current", "opt/app")
    taken.name("/current/bin/app", APP)
    assert links(taken) == {"/current": "opt/app"}


def test_a_script_is_not_made_a_link_to_its_interpreter(taken: FileSet, root: Path) -> None:
    put(root, "/usr/bin/tool", b"#!/opt/app/bin/app\n")
    taken.name("/usr/bin/tool", APP)
    assert links(taken) == {}


def test_no_link_takes_the_place_of_a_file(taken: FileSet, root: Path) -> None:
    put_elf(root, "/usr/lib/x.so", "02")
    assert taken.want("/usr/lib/x.so", "module")
    taken.name("/usr/lib/x.so", APP)
    assert taken.symlinks() == ()
    assert {each.path for each in taken.entries()} == {APP, "/usr/lib/x.so"}


def test_a_link_that_stands_where_a_folder_must_be_goes(taken: FileSet, root: Path) -> None:
    """The name was a link's when it was found, and a folder's when the file below it was."""
    put_elf(root, "/srv/data/x.so", "02")
    assert taken.want("/srv/data/x.so", "module")
    taken._links["/srv/data"] = "elsewhere"
    assert links(taken) == {}


def test_a_link_below_another_link_goes_with_the_folder_that_it_needs(taken: FileSet) -> None:
    taken.name("/srv/a", APP)
    taken._links["/srv/a/b"] = "x"  # as if the site had changed between two looks
    assert links(taken) == {"/srv/a/b": "x"}


@pytest.mark.parametrize("path", ["relative", "/a/../b", "/a//b", "/a/", "/" + "d/" * 300 + "x"])
def test_odd_paths_are_not_taken(taken: FileSet, path: str) -> None:
    file = taken.root.find(APP).file
    assert file
    assert not taken.put(path, file, "module")
    assert not taken.has(path)


def test_another_file_under_one_path_is_told(taken: FileSet, root: Path) -> None:
    put_elf(root, "/other", "02")
    other = taken.root.find("/other").file
    assert other
    assert not taken.put(APP, other, "module")
    os.link(root / APP[1:], root / "hard")
    same = taken.root.find("/hard").file
    assert same
    assert taken.put(APP, same, "module"), "the same file by another name"
