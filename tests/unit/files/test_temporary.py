"""Temporary directories: gone in the end, and what strangers leave under such names is none of ours."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import corebox
from corebox.files.temporary import is_abandoned, remove_abandoned, remove_tree, temporary_directory

NAME = ".corebox-tmp-0123456789abcdef"
DEPTH = 1500  # more than Python can call itself, and more than a process may have descriptors


def make_deep(top: Path) -> None:
    """A directory of the name of ours, 1,500 deep, with a file in each."""
    here = os.open(".", os.O_RDONLY)
    try:
        top.mkdir()
        os.chdir(top)
        for _ in range(DEPTH):
            Path("file").write_text("x")
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.fchdir(here)
        os.close(here)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder that this module's own removal empties, for pytest's calls itself."""
    place = tmp_path / "shared"
    place.mkdir()
    yield place
    remove_tree(str(place))


def test_what_a_dead_process_left_goes_however_deep_it_is(place: Path) -> None:
    make_deep(place / NAME)
    with temporary_directory(str(place)) as made:
        assert list(place.iterdir()) == [Path(made)]
    assert list(place.iterdir()) == []


def test_what_another_user_made_is_left_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / NAME).mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)  # seen by that user
    remove_abandoned(str(place))
    assert list(place.iterdir()) == [place / NAME]


def test_what_a_living_process_uses_stays(place: Path) -> None:
    with temporary_directory(str(place)) as made:
        assert not is_abandoned(made)
        remove_abandoned(str(place))
        assert Path(made).is_dir()
    assert is_abandoned(made)


def test_no_link_is_followed(place: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "below").mkdir(parents=True)
    (victim / "below" / "file").write_text("precious")
    top = place / NAME
    (top / "a" / "b").mkdir(parents=True)
    for folder in (top, top / "a", top / "a" / "b"):
        (folder / "link").symlink_to(victim)
    remove_tree(str(top))
    assert not top.exists()
    assert (victim / "below" / "file").read_text() == "precious"
    top.symlink_to(victim)
    remove_tree(str(top))
    assert victim.is_dir()


def test_many_files_and_directories_go(place: Path) -> None:
    shutil.copytree(Path(corebox.__file__).parent, place / NAME)
    remove_tree(str(place / NAME))
    assert list(place.iterdir()) == []
