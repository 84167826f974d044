"""Every word size and byte order, and what only a written core can show."""

from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.coredump.values import LinkMapEntry
from corebox.errors import InputError
from tests.support.elfwriter import (
    NT_AUXV,
    NT_FILE,
    NT_PRSTATUS,
    NT_SIGINFO,
    PAGE,
    PT_DYNAMIC,
    PT_PHDR,
    CoreWriter,
    Format,
    module,
)

BASE = 0x40000
HEAP = 0x900000
FORMATS = [
    (Format(64, "<", 62), "x86_64", 27, 16, 19),
    (Format(64, "<", 183), "aarch64", 34, 32, 31),
    (Format(64, "<", 243), "riscv64", 32, 0, 2),
    (Format(64, ">", 22), "s390x", 27, 1, 17),
    (Format(64, "<", 21), "ppc64le", 48, 32, 1),
    (Format(64, ">", 21), "ppc64", 48, 32, 1),
    (Format(32, ">", 20), "ppc", 48, 32, 1),
    (Format(32, "<", 3), "i386", 17, 12, 15),
    (Format(32, "<", 40), "arm", 18, 15, 13),
]


@pytest.mark.parametrize(("form", "name", "count", "counter", "stack"), FORMATS)
def test_reads_threads_files_and_build_ids(
    tmp_path: Path, form: Format, name: str, count: int, counter: int, stack: int
) -> None:
    writer = CoreWriter(form)
    values = [0] * count
    values[counter], values[stack] = BASE + PAGE + 8, HEAP
    writer.note(NT_PRSTATUS, form.prstatus(41, 11, values))
    union = b"" if form.bits == 32 else bytes(4)
    writer.note(NT_SIGINFO, form.ints(11, 0, 1) + union + form.words(0x1234) + bytes(100))
    writer.note(NT_AUXV, form.words(9, BASE + PAGE, 0, 0))
    rows = [(BASE, BASE + PAGE, 0, b"/opt/\xff app"), (BASE + PAGE, BASE + 2 * PAGE, PAGE, b"/opt/\xff app")]
    writer.note(NT_FILE, form.mappings([*rows, (HEAP, HEAP + PAGE, 0, b"/data (deleted)")]))
    writer.memory(BASE, module(form, b"\xab\xcd"), flags=5)
    writer.memory(HEAP, b"no ELF file", PAGE)
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        assert (core.machine, core.bits, core.process.fault_address) == (name, form.bits, 0x1234)
        thread = core.process.threads[0]
        assert (thread.tid, thread.signal) == (41, 11)
        assert (thread.program_counter, thread.stack_pointer) == (BASE + PAGE + 8, HEAP)
        (found,) = core.modules
        assert (found.path, found.build_id, found.is_executable) == ("/opt/\udcff app", "abcd", True)
        assert (found.start, found.end) == (BASE, BASE + 2 * PAGE)
        assert [(other.path, other.deleted) for other in core.other_files] == [("/data", True)]


def linked(form: Format, entries: int, cycle: bool) -> CoreWriter:
    """A core with a link map of ``entries`` entries at HEAP, the last pointing to the first if ``cycle``."""
    word = form.word
    table = BASE + form.header_size
    dynamic = BASE + 2048
    headers = form.entry(PT_PHDR, 4, 0, form.header_size, 0, 0) + form.entry(PT_DYNAMIC, 6, 0, 2048, 64, 64)
    page = bytearray(module(form, b"\x01")[:PAGE])
    page[form.header_size : form.header_size + len(headers)] = headers
    page[2048 : 2048 + 4 * word] = form.words(21, HEAP, 0, 0)
    size = 5 * word
    chain = bytearray(form.words(1, HEAP + 2 * word))
    for index in range(entries):
        here = HEAP + 2 * word + index * size
        following = here + size if index + 1 < entries else (HEAP + 2 * word if cycle else 0)
        chain += form.words(0x1000 * index, HEAP + PAGE, dynamic, following, 0)
    writer = CoreWriter(form)
    writer.note(NT_AUXV, form.words(3, table, 5, 2, 0, 0))
    writer.memory(BASE, bytes(page))
    writer.memory(HEAP, bytes(chain).ljust(PAGE, b"\0") + b"/lib/libx.so\0")
    return writer


@pytest.mark.parametrize("form", [Format(64, "<", 62), Format(32, ">", 20)])
def test_walks_the_link_map_once_though_it_is_a_circle(tmp_path: Path, form: Format) -> None:
    with open_core(str(linked(form, 3, cycle=True).write(tmp_path / "core"))) as core:
        assert core.link_map == tuple(LinkMapEntry("/lib/libx.so", 0x1000 * i, BASE + 2048) for i in range(3))


def test_reads_across_segments_and_refuses_what_is_not_there(tmp_path: Path) -> None:
    writer = CoreWriter()
    writer.memory(BASE, b"a" * PAGE)
    writer.memory(BASE + PAGE, b"b" * PAGE, 2 * PAGE)
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        assert core.read(BASE + PAGE - 2, 4) == b"aabb"
        assert core.read_available(BASE + 2 * PAGE - 1, 10) == b"b"
        assert core.read_available(BASE - 1, 10) == b""
        with pytest.raises(InputError) as caught:
            core.read(BASE + 2 * PAGE - 1, 2)
        assert caught.value.code == "memory-not-in-core"


def test_memory_out_of_address_order_is_read_all_the_same(tmp_path: Path) -> None:
    writer = CoreWriter()  # kernel.core_sort_vma writes small segments first
    writer.memory(HEAP, b"h" * PAGE)
    writer.memory(BASE, b"b" * PAGE)
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        assert core.read(BASE, 1) + core.read(HEAP, 1) == b"bh"


def test_a_library_mapped_twice_is_one_module(tmp_path: Path) -> None:
    form = Format()
    writer = CoreWriter(form)
    writer.note(
        NT_FILE,
        form.mappings([(start, start + 2 * PAGE, 0, b"/lib/a.so") for start in (BASE, HEAP)]),
    )
    writer.memory(BASE, module(form, b"\x01"))
    writer.memory(HEAP, module(form, b"\x01"))
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        assert [(found.path, found.start) for found in core.modules] == [("/lib/a.so", BASE)]


def test_a_library_replaced_under_its_name_is_two_modules(tmp_path: Path) -> None:
    form = Format()
    writer = CoreWriter(form)
    rows = [(BASE, BASE + 2 * PAGE, 0, b"/lib/a.so (deleted)"), (HEAP, HEAP + 2 * PAGE, 0, b"/lib/a.so")]
    writer.note(NT_FILE, form.mappings(rows))
    writer.memory(BASE, module(form, b"\x01"))
    writer.memory(HEAP, module(form, b"\x02"))
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        assert [(m.path, m.deleted, m.build_id) for m in core.modules] == [
            ("/lib/a.so", True, "01"),
            ("/lib/a.so", False, "02"),
        ]
