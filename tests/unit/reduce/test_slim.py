"""The slim core keeps what backtraces, arguments and locals need, and drops the rest of the heap."""

import os
import random
import struct
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.coredump.linkmap import walk_entries
from corebox.errors import InputError
from corebox.reduce.slim import FAR, LEAST, SIZE, plan_slim, slim_pieces
from tests.support.elfwriter import NT_AUXV, NT_PRSTATUS, PAGE, CoreWriter, Format
from tests.unit.conftest import RealCore

SHAPES = ["dynamic", "nopie", "static", "staticpie", "patched", "filter23", "gcore", "i386", "aarch64"]
SECRET = b"secret of the heap"


def slim(path: Path, into: Path) -> Path:
    small = into / "slim"
    with open_core(str(path)) as core, small.open("wb") as out:
        plan = plan_slim(core)
        for piece in slim_pieces(core, plan):
            out.write(piece)
        assert plan.kept_memory + plan.dropped_memory == sum(segment.file_size for segment in core.segments)
    assert small.stat().st_size == plan.size
    return small


@pytest.mark.parametrize("name", SHAPES)
def test_facts_stay_and_the_heap_goes(real_core: RealCore, tmp_path: Path, name: str) -> None:
    path = real_core(name)
    small = slim(path, tmp_path)
    # The program wrote its secret 4,096 times; what the stack points to may keep a few pages of them.
    assert path.read_bytes().count(SECRET) >= 4096
    assert small.read_bytes().count(SECRET) < 1024
    with open_core(str(path)) as original, open_core(str(small)) as core:
        assert core.truncation is None
        assert (core.process, core.mappings) == (original.process, original.mappings)
        assert (core.modules, core.link_map) == (original.modules, original.link_map)


@pytest.mark.parametrize("name", ["dynamic", "i386", "gcore"])
def test_stacks_module_data_and_link_map_stay(real_core: RealCore, tmp_path: Path, name: str) -> None:
    path = real_core(name)
    with open_core(str(path)) as original, open_core(str(slim(path, tmp_path))) as core:
        for thread in original.process.threads:
            assert thread.stack_pointer is not None
            segment = original.memory.segment_at(thread.stack_pointer)
            assert segment is not None
            used = original.read(thread.stack_pointer, segment.address + segment.file_size - thread.stack_pointer)
            assert len(used) > 1000
            assert core.read(thread.stack_pointer, len(used)) == used
        for module in original.modules:
            for address, data in original.memory.pieces(module.start, module.end):
                assert core.read(address, len(data)) == data
        entries = walk_entries(original.memory, original.header, original.auxv)
        assert len(entries) == 4
        for entry in entries:
            assert core.read(entry.address, 1024) == original.read(entry.address, 1024)


def test_dropped_memory_is_absent_and_not_zero(real_core: RealCore, tmp_path: Path) -> None:
    path = real_core("dynamic")
    with open_core(str(path)) as original, open_core(str(slim(path, tmp_path))) as core:
        heap = max(original.segments, key=lambda s: original.read_available(s.address, s.file_size).count(SECRET))
        there = [core.memory.segment_at(at) for at in range(heap.address, heap.address + heap.file_size, PAGE)]
        assert 0 < sum(segment is not None for segment in there) < len(there) / 2
        absent = heap.address + there.index(None) * PAGE
        with pytest.raises(InputError):
            core.read(absent, 1)


def test_every_register_may_be_the_stack_pointer_of_an_unknown_machine(tmp_path: Path) -> None:
    form = Format(64, "<", 0x1234)
    writer = CoreWriter(form)
    writer.note(NT_PRSTATUS, form.prstatus(1, 11, [7, 0x101000, 9]))
    writer.memory(0x100000, b"a" * (4 * PAGE))
    writer.memory(0x200000, b"b" * (4 * PAGE))
    with open_core(str(slim(writer.write(tmp_path / "core"), tmp_path))) as core:
        assert core.read(0x101000, 3 * PAGE) == b"a" * (3 * PAGE)
        assert core.read_available(0x200000, 1) == b""


def test_a_truncated_core_becomes_a_truncated_slim_core(real_core: RealCore, tmp_path: Path) -> None:
    short = tmp_path / "core"
    short.write_bytes(real_core("dynamic").read_bytes()[:400000])
    os.truncate(short, 400000)
    with open_core(str(short)) as original, open_core(str(slim(short, tmp_path))) as core:
        assert core.modules == original.modules


def test_a_heap_where_everything_leads_to_everything_is_cut_at_a_budget(tmp_path: Path) -> None:
    """Nearest first: what the stack points to stays, and all that its own words lead to."""
    form, start, pages = Format(64, "<", 62), 0x100000, 1500
    numbers = random.Random(1)
    heap = b"".join(
        form.words(*(start + numbers.randrange(pages) * PAGE for _ in range(8))) + numbers.randbytes(PAGE - 64)
        for _ in range(pages)
    )
    writer = CoreWriter(form)
    registers = [0] * 27
    registers[19] = stack = 0x7000000  # rsp
    writer.note(NT_PRSTATUS, form.prstatus(1, 11, registers))
    writer.memory(start, heap)
    writer.memory(stack, form.words(start + 5 * PAGE).ljust(PAGE, b"\0"))
    path = writer.write(tmp_path / "core")
    small = slim(path, tmp_path)
    assert LEAST < small.stat().st_size < SIZE + 20 * PAGE
    with open_core(str(path)) as original, open_core(str(small)) as core:
        assert core.read(start + 5 * PAGE, PAGE) == heap[5 * PAGE : 6 * PAGE]
        for word in struct.unpack("<8Q", heap[5 * PAGE : 5 * PAGE + 64]):
            assert core.read(word, PAGE) == original.read(word, PAGE)


def test_what_registers_point_to_is_kept_with_a_page_before_it(tmp_path: Path) -> None:
    """A thread's descriptor, for example, with its static thread-local storage."""
    form, at = Format(), 0x900000 + 20 * PAGE + 8
    writer = CoreWriter(form)
    writer.note(NT_PRSTATUS, form.prstatus(1, 11, [at, *[0] * 26]))
    writer.memory(0x900000, b"h" * (40 * PAGE))
    with open_core(str(slim(writer.write(tmp_path / "core"), tmp_path))) as core:
        assert core.read(at - PAGE, PAGE + FAR) == b"h" * (PAGE + FAR)
        assert core.memory.segment_at(0x900000) is core.memory.segment_at(0x900000 + 39 * PAGE) is None


def test_the_main_stack_is_kept_wherever_the_thread_is(tmp_path: Path) -> None:
    """It is where the kernel put the random bytes: on another one a handler of signals may run."""
    form, size = Format(), 64 * PAGE
    writer = CoreWriter(form)
    writer.note(NT_PRSTATUS, form.prstatus(1, 11, [0] * 27))
    writer.note(NT_AUXV, form.words(25, 0x7FF000000000 + size - 100, 0, 0))
    writer.memory(0x7FF000000000, b"s" * size)
    writer.memory(0x900000, b"h" * size)
    with open_core(str(slim(writer.write(tmp_path / "core"), tmp_path))) as core:
        assert core.read(0x7FF000000000, size) == b"s" * size
        assert core.memory.segment_at(0x900000) is None


def test_what_cannot_be_written_is_no_stack(tmp_path: Path) -> None:
    form = Format(64, "<", 0x1234)
    writer = CoreWriter(form)
    writer.note(NT_PRSTATUS, form.prstatus(1, 11, [0x101000]))
    writer.memory(0x100000, b"a" * (64 * PAGE), flags=4)
    with open_core(str(slim(writer.write(tmp_path / "core"), tmp_path))) as core:
        assert core.read(0x101000, FAR) == b"a" * FAR
        assert core.memory.segment_at(0x100000 + 63 * PAGE) is None


def test_a_core_whose_segments_share_bytes_stays_as_it_is(tmp_path: Path) -> None:
    writer = CoreWriter()
    for address in (0x10000000, 0x20000000):
        writer.memory(address, b"m" * (64 * PAGE))
    data = bytearray(writer.to_bytes())
    second = 64 + 2 * 56 + 8
    data[second : second + 8] = data[second - 56 : second - 48]
    (tmp_path / "core").write_bytes(data)
    assert slim(tmp_path / "core", tmp_path).read_bytes() == data
    with open_core(str(tmp_path / "core")) as core:
        assert plan_slim(core).dropped_memory == 0


def test_a_core_that_becomes_shorter_is_told(tmp_path: Path) -> None:
    writer = CoreWriter()
    writer.note(NT_PRSTATUS, Format().prstatus(1, 11, [0x900000, *[0] * 26]))
    writer.memory(0x900000, b"h" * PAGE)
    path = writer.write(tmp_path / "core")
    with open_core(str(path)) as core:
        plan = plan_slim(core)
        os.truncate(path, core.segments[0].offset)
        with pytest.raises(InputError, match="changed while it was being gathered") as caught:
            list(slim_pieces(core, plan))
    assert (caught.value.code, caught.value.context["path"]) == ("file-changed", str(path))
