"""Debug files in folders: the build ID alone decides."""

import multiprocessing
import shutil
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from corebox.coredump.elffile import debug_path, read_elf
from corebox.coredump.values import FULL, MINIMAL
from corebox.files.checksum import file_checksum
from corebox.locate.folders import Folder
from corebox.locate.index import Index
from corebox.locate.wanted import EXECUTABLE, Wanted
from corebox.locate.wantedfiles import Key, WantedFiles
from tests.support.debugfiles import debug_file


def compiled(target: Path, build_id: str | None, level: str = FULL, more: bytes = b"") -> str:
    """A program with debug information at ``target``; its build ID, empty if it has none."""
    return read_elf(str(debug_file(target, build_id, level, more=more))).build_id or ""


def find(folder: Path, *keys: Key) -> dict[Key, Path]:
    return Folder(folder, Index(folder.parent / "index.sqlite3")).find(WantedFiles(frozenset(keys)))


def test_found_under_any_name_and_in_a_build_id_tree(tmp_path: Path) -> None:
    named = compiled(tmp_path / "deep" / "any name", "01020304")
    path = tmp_path / debug_path("05060708")
    in_tree = compiled(path, "05060708")
    found = find(tmp_path, named, in_tree, "99")
    assert found == {named: tmp_path / "deep" / "any name", in_tree: path}


def test_a_file_without_build_id_is_never_taken(tmp_path: Path) -> None:
    assert compiled(tmp_path / "program", None) == ""
    assert find(tmp_path, "") == {}


def test_debug_information_wins_over_a_symbol_table(tmp_path: Path) -> None:
    build_id = compiled(tmp_path / "b" / "full", "01020304")
    compiled(tmp_path / "a" / "names only", "01020304", MINIMAL)
    assert find(tmp_path, build_id) == {build_id: tmp_path / "b" / "full"}


def test_what_is_no_elf_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no ELF file")
    (tmp_path / "damaged").write_bytes(b"\x7fELF" + bytes(3))
    (tmp_path / "dangling").symlink_to("nowhere")
    assert find(tmp_path, "01020304") == {}


def test_what_was_read_is_not_read_again_until_it_changes(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    first = compiled(folder / "program", "01020304")
    assert find(folder, first)
    index = tmp_path / "index.sqlite3"
    with closing(sqlite3.connect(index)) as database, database:
        database.execute("UPDATE files SET build_id = '05060708'")
    assert find(folder, first) == {}  # the index is believed
    assert find(folder, "05060708")
    second = compiled(folder / "program", "0a0b0c0d")
    assert find(folder, second) == {second: folder / "program"}
    assert find(folder, first) == {}


@pytest.mark.parametrize("damage", [b"no database at all" * 400, b"", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_broken_index_is_made_again(tmp_path: Path, damage: bytes) -> None:
    build_id = compiled(tmp_path / "folder" / "program", "01020304")
    index = tmp_path / "index.sqlite3"
    index.write_bytes(damage)
    assert find(tmp_path / "folder", build_id)
    with closing(sqlite3.connect(index)) as database:
        assert database.execute("SELECT build_id FROM files").fetchall() == [(build_id,)]


def test_an_index_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    build_id = compiled(tmp_path / "folder" / "program", "01020304")
    (tmp_path / "index.sqlite3").mkdir()
    assert find(tmp_path / "folder", build_id)


def test_many_at_once_use_one_index(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    build_id = compiled(folder / "program", "01020304")
    for number in range(80):
        shutil.copy(folder / "program", folder / f"copy {number}")
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = [each.result() for each in [pool.submit(find, folder, build_id) for _ in range(4)]]
    assert [list(each) for each in found] == [[build_id]] * 4
    with closing(sqlite3.connect(tmp_path / "index.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM files").fetchone() == (81,)


def test_by_debuglink_the_checksum_decides(tmp_path: Path) -> None:
    compiled(tmp_path / "a" / "app.debug", None)
    compiled(tmp_path / "b" / "app.debug", None, more=b"another")
    key = ("app.debug", file_checksum(str(tmp_path / "b" / "app.debug")))
    assert find(tmp_path, key, "") == {key: tmp_path / "b" / "app.debug"}
    assert find(tmp_path, ("other.debug", key[1])) == {}


def test_what_is_in_proc_is_no_file_of_a_folder(tmp_path: Path) -> None:
    assert list(Folder(Path("/proc/self"), Index(tmp_path / "index.sqlite3")).members(lambda _: True)) == []


def test_a_wanted_name_of_a_root_is_looked_up_before_anything_is_searched(tmp_path: Path) -> None:
    root = tmp_path / "root"
    own = compiled(root / "opt" / "program", "01020304")
    compiled(root / "a" / "copy", "01020304")
    wanted = Wanted(("/opt/program",), EXECUTABLE, own, "x86_64")
    candidates = Folder(root, Index(tmp_path / "index.sqlite3")).candidates([wanted])
    assert [each.name for each in candidates] == ["/opt/program", "/a/copy"]
