"""Cores cut off at any point: what is left is used, what is missing is said."""

from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.coredump.values import Truncation
from corebox.errors import InputError
from tests.unit.conftest import RealCore
from tests.unit.coredump.test_shapes import LIBC, LINKER, modules_of


def cut(path: Path, size: int, into: Path) -> Path:
    """The first ``size`` bytes, as a limit on the size of cores leaves them."""
    short = into / "core"
    with path.open("rb") as core:
        short.write_bytes(core.read(size))
    return short


def truncation_of(path: Path) -> Truncation | None:
    with open_core(str(path)) as core:
        return core.truncation


def test_memory_cut_at_its_end_says_how_much_and_leaves_the_modules(real_core: RealCore, tmp_path: Path) -> None:
    path = real_core("dynamic")
    size = path.stat().st_size
    short = cut(path, size - 5000, tmp_path)
    assert truncation_of(short) == Truncation(size, size - 5000, 5000, ("memory",))
    # AT_EXECFN points to the top of the stack, which is written last.
    with open_core(str(short)) as core:
        assert core.process.executable is None
    assert modules_of(short) == [("/opt/corebox-cores/dynamic", "c0de01"), LIBC, LINKER]


def test_memory_cut_at_its_start_leaves_the_names_of_all_modules(real_core: RealCore, tmp_path: Path) -> None:
    path = real_core("dynamic")
    with open_core(str(path)) as core:
        first = min(segment.offset for segment in core.segments)
    short = cut(path, first, tmp_path)
    size = path.stat().st_size
    assert truncation_of(short) == Truncation(size, first, size - first, ("memory",))
    assert modules_of(short) == [("/opt/corebox-cores/dynamic", None), (LIBC[0], None), (LINKER[0], None)]


def test_notes_cut_in_the_list_of_files_leave_the_files_before_the_cut(real_core: RealCore, tmp_path: Path) -> None:
    path = real_core("dynamic")
    data = path.read_bytes()
    short = cut(path, data.index(LINKER[0].encode()), tmp_path)
    with open_core(str(short)) as core:
        assert core.process.name == "dynamic"
        assert core.truncation is not None
        assert core.truncation.lost == ("notes", "memory")
    assert modules_of(short) == [("/opt/corebox-cores/dynamic", None), (LIBC[0], None)]


def test_a_core_cut_before_its_notes_still_says_its_machine(real_core: RealCore, tmp_path: Path) -> None:
    path = real_core("dynamic")
    with open_core(str(path)) as core:
        notes_at, expected = core.table.notes[0].offset, core.size
    short = cut(path, notes_at, tmp_path)
    assert truncation_of(short) == Truncation(expected, notes_at, expected - notes_at, ("notes", "memory"))
    with open_core(str(short)) as core:
        assert (core.machine, core.process.pid, core.modules) == ("x86_64", None, ())


def test_a_table_of_headers_cut_in_the_middle_says_that_headers_are_lost(real_core: RealCore, tmp_path: Path) -> None:
    short = cut(real_core("dynamic"), 64 + 10 * 56 + 7, tmp_path)
    with open_core(str(short)) as core:
        assert len(core.segments) == 9
        assert core.truncation is not None
        assert core.truncation.lost == ("headers", "notes", "memory")


def test_a_core_cut_within_its_first_header_is_no_core(real_core: RealCore, tmp_path: Path) -> None:
    short = cut(real_core("dynamic"), 50, tmp_path)
    with pytest.raises(InputError) as caught:
        open_core(str(short))
    assert caught.value.code == "not-a-core"
    assert "cut off within its header" in caught.value.message
    assert "ulimit -c unlimited" in caught.value.hint


def test_gcore_cut_anywhere_has_lost_its_notes_and_keeps_its_memory(real_core: RealCore, tmp_path: Path) -> None:
    path = real_core("gcore")
    with open_core(str(path)) as core:
        notes = core.table.notes[0]
    short = cut(path, notes.offset, tmp_path)
    assert truncation_of(short) == Truncation(notes.offset + notes.file_size, notes.offset, notes.file_size, ("notes",))


def test_more_segments_than_e_phnum_counts_are_found_when_the_count_is_cut_off(
    real_core: RealCore, tmp_path: Path
) -> None:
    path = real_core("segments")
    size = path.stat().st_size
    short = cut(path, size - 10, tmp_path)
    with open_core(str(short)) as core:
        assert len(core.segments) == 70023
        assert core.truncation == Truncation(size, size - 10, 10, ("headers",))
        assert core.modules[0].build_id == "c0de0b"
