"""The compact core has no holes, reads the same, and gives the original back bit for bit."""

import json
import os
from pathlib import Path

import pytest

from corebox.bundle.corecontent import CompactCore
from corebox.coredump.core import open_core
from corebox.errors import HostError, InputError
from corebox.files.extents import Extent
from corebox.reduce.compact import plan_compaction
from corebox.reduce.original import restore
from tests.support.compactcores import content_of
from tests.support.elfwriter import NT_FILE, PAGE, CoreWriter, Format
from tests.unit.conftest import RealCore

SHAPES = ["dynamic", "static", "gcore", "i386", "aarch64", "segments", "filter23"]


def sparse_core(path: Path, holes: int = 3, protected: bool = False) -> Path:
    """A core of 4 MiB segments, each with one page of data at its start and end and a hole between."""
    writer = CoreWriter()
    size = 4 << 20
    if protected:
        writer.note(NT_FILE, Format().mappings([(0x10000000, 0x10000000 + size, 0, b"/lib/a.so")]))
    for index in range(holes):
        page = bytes([index + 1]) * PAGE
        writer.memory(0x10000000 + index * (size + PAGE), page + bytes(size - 2 * PAGE) + page)
    data = writer.to_bytes()
    with path.open("wb") as core:
        for at in range(0, len(data), PAGE):
            page = data[at : at + PAGE]
            core.seek(at)
            if any(page):
                core.write(page)
        core.truncate(len(data))
    return path


def compact(core_path: Path, into: Path) -> tuple[Path, dict[str, object]]:
    """The compact core and its layout, through JSON."""
    path = into / "compact"
    with open_core(str(core_path)) as core:
        content = CompactCore(core)
        path.write_bytes(content_of(content))
        assert path.stat().st_size == content.size
        return path, json.loads(content.layout())


def restore_all(small: Path, layout: dict[str, object], out: Path) -> None:
    """``restore`` from a file that is nothing but the compact core."""
    restore(str(small), Extent(0, small.stat().st_size), json.dumps(layout).encode(), str(out))


def extents(path: Path) -> list[Extent]:
    with open_core(str(path)) as core:
        return list(core.extents())


@pytest.mark.parametrize("name", SHAPES)
def test_real_cores_have_the_same_facts_and_come_back_with_their_holes(
    real_core: RealCore, tmp_path: Path, name: str
) -> None:
    path = real_core(name)
    small, layout = compact(path, tmp_path)
    restore_all(small, layout, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert extents(tmp_path / "again") == extents(path)
    with open_core(str(path)) as original, open_core(str(small)) as core:
        assert (core.process, core.mappings, core.modules) == (original.process, original.mappings, original.modules)
        assert core.truncation is None


def test_long_holes_are_left_out_and_become_segments_without_bytes(tmp_path: Path) -> None:
    path = sparse_core(tmp_path / "core")
    small, layout = compact(path, tmp_path)
    with open_core(str(path)) as original, open_core(str(small)) as core:
        assert [(s.address, s.file_size, s.memory_size) for s in core.segments[:3]] == [
            (0x10000000, PAGE, PAGE),
            (0x10001000, 0, (4 << 20) - 2 * PAGE),
            (0x103FF000, PAGE, PAGE),
        ]
        assert core.size < 10 * PAGE
        assert original.size > 12 << 20
        for segment in core.segments:
            assert segment.offset % PAGE == segment.address % PAGE or not segment.file_size
            assert core.read_available(segment.address, segment.file_size) == original.read(
                segment.address, segment.file_size
            )
    restore_all(small, layout, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert (tmp_path / "again").stat().st_blocks == path.stat().st_blocks


def test_holes_in_mapped_files_stay(tmp_path: Path) -> None:
    small, _ = compact(sparse_core(tmp_path / "core", protected=True), tmp_path)
    with open_core(str(small)) as core:
        assert (core.segments[0].file_size, core.segments[0].memory_size) == (4 << 20, 4 << 20)
        assert len(core.segments) == 7


def test_the_compact_core_depends_on_the_content_and_not_on_the_holes_of_the_file(tmp_path: Path) -> None:
    path = sparse_core(tmp_path / "core")
    full = tmp_path / "full"
    full.write_bytes(path.read_bytes())
    with open_core(str(path)) as sparse, open_core(str(full)) as stored:
        assert stored.stored_size > sparse.stored_size
        assert plan_compaction(stored) == plan_compaction(sparse)


@pytest.mark.parametrize(
    ("pages", "count", "left_out"),
    [
        (3, 10, 0),  # shorter than 16 KiB
        (4, 10, 10),
        (4, 65, 0),  # too many of 16 KiB, so that only those of 32 KiB and more count
        (8, 64, 64),
    ],
)
def test_short_holes_and_too_many_holes_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: int, count: int, left_out: int
) -> None:
    monkeypatch.setattr("corebox.reduce.compact.MAX_HOLES", 64)
    writer = CoreWriter()
    writer.memory(0x10000000, (b"data".ljust(PAGE, b"\0") + bytes(pages * PAGE)) * count + b"end".ljust(PAGE, b"\0"))
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        assert len(plan_compaction(core).runs) == left_out + 1


def test_a_core_whose_segments_share_bytes_stays_as_it_is(tmp_path: Path) -> None:
    writer = CoreWriter()
    writer.memory(0x10000000, bytes(1 << 20))
    writer.memory(0x20000000, bytes(1 << 20))
    data = bytearray(writer.to_bytes())
    second = 64 + 2 * 56 + 8
    data[second : second + 8] = data[second - 56 : second - 48]
    path = tmp_path / "core"
    path.write_bytes(data)
    small, layout = compact(path, tmp_path)
    assert small.read_bytes() == data
    restore_all(small, layout, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == data


def test_a_plan_may_need_more_headers_than_e_phnum_counts(tmp_path: Path) -> None:
    writer = CoreWriter()
    for index in range(65532):
        writer.memory(0x1000000 + index * PAGE, b"", PAGE)
    writer.memory(0x90000000, bytes(2 << 20) + b"end".ljust(PAGE, b"\0"))
    path = writer.write(tmp_path / "core")
    small, layout = compact(path, tmp_path)
    with open_core(str(small)) as core:
        assert core.header.entries == 0xFFFF
        assert len(core.segments) == 65534
        assert core.read(0x90000000 + (2 << 20), 3) == b"end"
    restore_all(small, layout, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_truncated_core_is_compacted_and_comes_back(real_core: RealCore, tmp_path: Path) -> None:
    path = sparse_core(tmp_path / "core")
    os.truncate(path, 9 << 20)
    small, layout = compact(path, tmp_path)
    restore_all(small, layout, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    with open_core(str(path)) as original, open_core(str(small)) as core:
        assert core.truncation is not None
        assert original.truncation is not None
        assert core.truncation.lost == original.truncation.lost == ("memory",)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"size": -1},
        {"size": "9"},
        {"head": "%%"},
        {"head": ""},
        {"runs": [0, 0]},
        {"runs": [8192, 8192, 1, 0, 8193, 1]},
        {"runs": [0, 0, 1 << 62]},
        {"runs": [0, -1, 1]},
        {"runs": []},
        {"runs": None},
    ],
)
def test_a_damaged_layout_is_refused_and_leaves_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    small, layout = compact(sparse_core(tmp_path / "core"), tmp_path)
    with pytest.raises(InputError) as caught:
        restore_all(small, {**layout, **change}, tmp_path / "again")
    assert caught.value.code == "layout-damaged"
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"[" * 100000, b'{"size": ' + b"9" * 5000 + b"}", b"\xff"])
def test_a_layout_that_is_no_object_is_refused(tmp_path: Path, text: bytes) -> None:
    path = sparse_core(tmp_path / "core")
    with pytest.raises(InputError) as caught:
        restore(str(path), Extent(0, path.stat().st_size), text, str(tmp_path / "again"))
    assert caught.value.code == "layout-damaged"


def test_restoring_never_overwrites_a_file(tmp_path: Path) -> None:
    path = sparse_core(tmp_path / "core")
    small, layout = compact(path, tmp_path)
    with pytest.raises(HostError) as caught:
        restore_all(small, layout, path)
    assert caught.value.code == "cannot-write"
