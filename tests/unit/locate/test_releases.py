"""A folder of releases: packages in it are looked into, one that is damaged is told and passed over."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from corebox.actions.known import known_files
from corebox.locate.folders import Folder
from corebox.locate.index import Index
from corebox.locate.places import SymbolOptions, open_places
from corebox.locate.wanted import LIBRARY, Candidate, Wanted
from corebox.locate.wantedfiles import WantedFiles
from corebox.store.store import Store
from tests.support.elfwriter import Format, module
from tests.unit.gather.sites import elf_with_sections

FILE = module(Format(), b"\x01" * 20)
OLDER = module(Format(), b"\x02" * 20)
DEBUG = elf_with_sections("03" * 20, {".debug_info": b"x"})
WANTED = Wanted(("/usr/lib/libfoo.so",), LIBRARY, "01" * 20, "x86_64")


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """Two releases as archives, one that is cut, one with nothing, and what has only the name of one."""
    folder = tmp_path / "releases"
    (folder / "old").mkdir(parents=True)
    with tarfile.open(folder / "old/app-1.tar.gz", "w:gz") as archive:
        for name, data in (("app/lib/libfoo.so", OLDER), ("app/lib/debug/libfoo.debug", DEBUG)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with zipfile.ZipFile(folder / "app-2.zip", "w") as archive2:
        archive2.writestr("app/lib/libfoo.so", FILE)
    (folder / "cut.tar.gz").write_bytes((folder / "old/app-1.tar.gz").read_bytes()[:40])
    (folder / "empty.deb").write_bytes(b"")
    (folder / "folder.rpm").mkdir()
    (folder / "loop.zip").symlink_to("loop.zip")
    os.mkfifo(folder / "pipe.deb")
    (folder / "text.apk").write_text("<html>not found</html>")
    return folder


def folder_of(tmp_path: Path, releases: Path, told: list[str]) -> Folder:
    (source,) = open_places(SymbolOptions((str(releases),)), Store(tmp_path / "home"), {}, told.append, print).sources
    assert isinstance(source, Folder)
    return source


def test_packages_are_looked_into_and_damaged_ones_are_told(tmp_path: Path, releases: Path) -> None:
    told: list[str] = []
    found: list[tuple[bytes, Candidate]] = []
    for each in folder_of(tmp_path, releases, told).candidates([WANTED]):
        found.append((each.path.read_bytes(), each))
    candidate = next(each for content, each in found if content == FILE)
    assert candidate.name == "/app/lib/libfoo.so"
    assert candidate.origin[0] == str(releases)
    assert candidate.origin.url == str(releases / "app-2.zip")
    assert OLDER in [content for content, _ in found], "another build of the name is worth a word"
    assert sorted(line.partition(":")[0].rpartition("/")[2] for line in told) == ["cut.tar.gz", "empty.deb", "text.apk"]
    assert all(line.endswith("it is passed over") for line in told)


def test_what_the_folder_has_itself_comes_before_its_packages(tmp_path: Path, releases: Path) -> None:
    (releases / "libfoo.so").write_bytes(FILE)
    told: list[str] = []
    first = next(iter(folder_of(tmp_path, releases, told).candidates([WANTED])))
    assert (first.name, told) == ("/libfoo.so", [])


def test_debug_files_are_found_in_them(tmp_path: Path, releases: Path) -> None:
    found = folder_of(tmp_path, releases, []).find(WantedFiles(frozenset(["03" * 20])))
    assert found["03" * 20].read_bytes() == DEBUG


def test_known_lists_what_is_in_them(tmp_path: Path, releases: Path) -> None:
    known = known_files(Store(tmp_path / "home"), SymbolOptions((str(releases),)))
    assert set(known) >= {("01" * 20, "/app/lib/libfoo.so"), ("02" * 20, "/app/lib/libfoo.so")}


def test_companions_are_looked_for_in_their_folders_alone(tmp_path: Path) -> None:
    names = ("etc/os-release", "usr/lib/x/a", "usr/lib/x/deep/b", "usr/share/gdb/c", "home/d", "usr/lib/y/e")
    for name in names:
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(b"")
    asked: list[str] = []

    def wants(name: str) -> bool:
        asked.append(name)
        return name != "/usr/lib/x/a"

    folder = Folder(tmp_path / "root", Index(tmp_path / "index"))
    within = ("/etc/os-release", "/usr/lib/x", "/usr/lib/x/deep", "/usr/share", "/nowhere", "/nowhere/file")
    found = [member.name for member in folder.members_in(within, wants)]
    assert found == ["/etc/os-release", "/usr/lib/x/deep/b", "/usr/share/gdb/c"]
    assert sorted(asked) == ["/etc/os-release", "/usr/lib/x/a", "/usr/lib/x/deep/b", "/usr/share/gdb/c"]
