"""Modules out of mappings, link map and headers in memory: what belongs together, and what is none."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corebox.coredump import modules
from corebox.coredump.core import CoreFile, open_core
from corebox.coredump.linkmap import AT_PHDR, AT_PHNUM
from corebox.coredump.modules import Facts, find_modules, group_mappings, read_build_id
from corebox.coredump.values import FileMapping, LinkMapEntry, Module
from tests.support.elfwriter import ET_DYN, NT_PRSTATUS, PAGE, PT_LOAD, PT_NOTE, CoreWriter, Format, module

FORM = Format()
ID, OTHER = b"\x01" * 20, b"\x02" * 20
START = 0x10000


@contextmanager
def core_with(tmp_path: Path, *memory: tuple[int, bytes], flags: int = 5) -> Iterator[CoreFile]:
    """A core with this memory."""
    writer = CoreWriter(FORM)
    writer.note(NT_PRSTATUS, FORM.prstatus(7, 11, [0] * 27))
    for address, data in memory:
        writer.memory(address, data, flags=flags)
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        yield core


def mapping(start: int, end: int, path: str, offset: int = 0) -> FileMapping:
    return FileMapping(start, end, offset, path, False)


def facts(core: CoreFile, **given: object) -> Facts:
    """Those of a core, with what is given in the place of its own."""
    loads = sorted((each.address, each.address + each.memory_size, each.flags) for each in core.segments)
    plain = Facts(
        core.memory, core.header, {}, [start for start, _, _ in loads], [end for _, end, _ in loads],
        {start for start, _, flags in loads if flags & 1}, (), (), [], None, None,
    )  # fmt: skip
    return plain._replace(**given)  # type: ignore[arg-type]


def found(core: CoreFile, **given: object) -> tuple[Module, ...]:
    return find_modules(facts(core, **given))[0]


def test_what_overlaps_the_mapping_before_is_left_out(tmp_path: Path) -> None:
    """No kernel writes it."""
    with core_with(tmp_path, (START, module(FORM, ID))) as core:
        rows = [mapping(START, START + 2 * PAGE, "/a.so"), mapping(START + PAGE, START + 3 * PAGE, "/b.so", PAGE)]
        groups = group_mappings(core.memory, rows)
    assert [[each.path for each in group.mappings] for group in groups] == [["/a.so"]]


def test_what_lies_beyond_the_end_of_its_file_is_another_run(tmp_path: Path) -> None:
    far = START + 64 * PAGE
    with core_with(tmp_path, (START, module(FORM, ID)), (far, bytes(PAGE))) as core:
        near = mapping(START + PAGE, START + 2 * PAGE, "/a.so", PAGE)
        rows = [mapping(START, START + PAGE, "/a.so"), near, mapping(far, far + PAGE, "/a.so", PAGE)]
        groups = group_mappings(core.memory, rows)
    assert [len(group.mappings) for group in groups] == [2, 1]


def image(notes: bytes, *extra: bytes) -> bytes:
    """A module of one page with these notes; ``extra`` are further program headers."""
    at = FORM.header_size + (2 + len(extra)) * FORM.entry_size
    table = [FORM.entry(PT_LOAD, 5, 0, 0, PAGE, PAGE), FORM.entry(PT_NOTE, 4, at, at, len(notes), len(notes)), *extra]
    return (FORM.header(ET_DYN, len(table)) + b"".join(table) + notes).ljust(PAGE, b"\0")


def note(kind: int, data: bytes, align: int) -> bytes:
    """One of GNU's notes, padded as its section is aligned."""
    head = struct.pack("<III", 4, len(data), kind) + b"GNU\0"
    return head + data.ljust(-(-len(data) // align) * align, b"\0")


@pytest.mark.parametrize("align", [4, 8])
def test_a_build_id_behind_another_note_is_found_however_notes_are_aligned(tmp_path: Path, align: int) -> None:
    notes = note(5, b"\xaa" * 12, align) + note(3, ID, align)
    with core_with(tmp_path, (START, image(notes))) as core:
        assert read_build_id(core.memory, START) == ID.hex()


def test_notes_are_read_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = note(5, b"\xaa" * 400, 4) + note(3, ID, 4)
    with core_with(tmp_path, (START, image(notes))) as core:
        assert read_build_id(core.memory, START) == ID.hex()
        monkeypatch.setattr(modules, "MAX_NOTES_LENGTH", 400)
        assert read_build_id(core.memory, START) is None


def library(dynamic: int) -> bytes:
    """The first page of a library of four segments, with its dynamic section at this address."""
    loads = [FORM.entry(PT_LOAD, 4, number * PAGE, number * PAGE, PAGE, PAGE) for number in (1, 2, 3)]
    return image(note(3, ID, 4), *loads, FORM.entry(2, 6, dynamic, dynamic, 16, 16))


def test_headers_may_lie_several_segments_before_the_dynamic_section(tmp_path: Path) -> None:
    dynamic = START + 3 * PAGE + 16
    memory = [(START + number * PAGE, library(3 * PAGE + 16) if number == 0 else bytes(PAGE)) for number in range(4)]
    entries = (LinkMapEntry("", 0, 0), LinkMapEntry("/lib/x.so", 0x999000, dynamic))  # of a library that was prelinked
    with core_with(tmp_path, *memory) as core:
        (lib,) = [each for each in found(core, link_map=entries, dynamics=[(dynamic, 1)]) if each.path == "/lib/x.so"]
    assert (lib.start, lib.build_id) == (START, ID.hex())


def test_a_static_executable_says_nowhere_where_its_headers_are(tmp_path: Path) -> None:
    """Its program headers were moved to another page than its ELF header's."""
    page = module(FORM, ID)
    auxv = {AT_PHDR: START + PAGE + 64, AT_PHNUM: 3}
    with core_with(tmp_path, (START, page[:PAGE]), (START + PAGE, page[PAGE:])) as core:
        (program,) = found(core, auxv=auxv, executable="/opt/app", mappings=(mapping(0x1000, 0x2000, "/data"),))
    assert (program.path, program.start, program.build_id) == ("/opt/app", START, ID.hex())


def test_of_a_library_that_was_loaded_twice_the_one_with_a_name_counts(tmp_path: Path) -> None:
    """dlmopen loads it again; the link map of another namespace is not in ours."""
    second = START + 16 * PAGE
    page = module(FORM, ID)
    rows = tuple(
        mapping(start + number * PAGE, start + (number + 1) * PAGE, "/lib/x.so", number * PAGE)
        for start in (START, second)
        for number in (0, 1)
    )
    entries = (LinkMapEntry("", 0, 0), LinkMapEntry("/usr/lib/x.so.1", second, second + PAGE))
    with core_with(tmp_path, (START, page), (second, page)) as core:
        (lib,) = found(core, mappings=rows, link_map=entries, dynamics=[(second + PAGE, 1)])
    assert (lib.start, lib.opened_as) == (second, ("/usr/lib/x.so.1",))


@pytest.mark.parametrize(("data", "flags"), [(b"text" * 1024, 5), (b"", 4)], ids=["dumped", "not dumped"])
def test_a_file_of_data_is_no_module(tmp_path: Path, data: bytes, flags: int) -> None:
    """Its bytes tell it from a module; where they are not in the core, it has no code."""
    writer = CoreWriter(FORM)
    writer.note(NT_PRSTATUS, FORM.prstatus(7, 11, [0] * 27))
    writer.memory(START, data, PAGE, flags)
    rows = (mapping(START, START + PAGE, "/usr/lib/locale/C.utf8"),)
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        known, others = find_modules(facts(core, mappings=rows))
    assert (known, others) == ((), rows)


def test_names_of_a_module_are_in_load_order(tmp_path: Path) -> None:
    """Not in that of the addresses."""
    page = module(FORM, ID)
    rows = (mapping(START, START + 2 * PAGE, "/lib/x.so"),)
    low, high = START + PAGE + 16, START + PAGE + 64
    entries = (LinkMapEntry("", 0, 0), LinkMapEntry("/first", START, high), LinkMapEntry("/second", START, low))
    with core_with(tmp_path, (START, page)) as core:
        (lib,) = found(core, mappings=rows, link_map=entries, dynamics=[(low, 2), (high, 1)])
    assert lib.opened_as == ("/first", "/second")
