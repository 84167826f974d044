"""Cores whose numbers are those of an attack, not of a crash: an answer within the bounds of ``targets``."""

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.errors import CoreboxError
from corebox.files.diskroot import DiskRoot
from corebox.gather.collect import MORE, GatherOptions, collect
from corebox.gather.find import Places, find_module
from corebox.gather.summary import is_exact
from corebox.reduce.compact import plan_compaction
from corebox.reduce.slim import plan_slim
from corebox.unbundle.parse import parse_manifest
from tests.fuzz.targets import ask_everything, bounds, in_file
from tests.support.elfwriter import (
    ET_CORE,
    ET_DYN,
    NT_AUXV,
    NT_FILE,
    PN_XNUM,
    PT_DYNAMIC,
    PT_LOAD,
    PT_NOTE,
    CoreWriter,
    Format,
)

FORM = Format()
BASE = 0x10000
LAST = (1 << 63) - 1
MAX_SIZE = (1 << 64) - 1
MANY = 30000


def core(entries: list[tuple[int, int, int, int, int, int]], body: bytes = b"") -> bytes:
    """A core with these program headers: kind, flags, offset, address, size in the file, size in memory."""
    head = FORM.header(ET_CORE, len(entries)) + b"".join(FORM.entry(*entry) for entry in entries)
    return head + body


def with_memory(notes: list[tuple[int, bytes]], segments: list[tuple[int, bytes]]) -> bytes:
    writer = CoreWriter(FORM)
    for kind, data in notes:
        writer.note(kind, data)
    for address, data in segments:
        writer.memory(address, data, flags=5)
    return writer.to_bytes()


def auxv(**values: int) -> tuple[int, bytes]:
    keys = {"table": 3, "count": 5, "entry": 9, "random": 25, "name": 31}
    return NT_AUXV, FORM.words(*(number for key, value in values.items() for number in (keys[key], value)), 0, 0)


def one_kind(kind: int, offset: int, size: int, memory: int) -> Callable[[], bytes]:
    return lambda: core([(kind, 5, offset, BASE, size, memory)], bytes(4096))


def linked(entries: list[tuple[int, int]], names: bytes = b"/a\0", headers: int = 2) -> bytes:
    """A core with a link map of (index of the name, index of the next entry), beginning with entry 0."""
    table = 64 + 56 * headers
    first = table + 48
    names_at = first + 32 * len(entries)
    memory = FORM.header(ET_DYN, headers) + FORM.entry(PT_LOAD, 5, 0, 0, 4096, 4096) * (headers - 1)
    memory += FORM.entry(PT_DYNAMIC, 6, table, table, 32, 32)
    memory += FORM.words(21, BASE + table + 32, 0, 0, 1, BASE + first)
    for index, (name, following) in enumerate(entries):
        memory += FORM.words(0, BASE + names_at + name, BASE + table + index, BASE + first + 32 * following)
    return with_memory([auxv(table=BASE + 64, count=headers, entry=BASE)], [(BASE, memory + names)])


def overlapping() -> bytes:
    """Each segment begins a byte behind the one before, and all have the same 16 MiB; no headers of an executable."""
    size = 16 << 20
    offset = 64 + 56 * (MANY + 1)
    notes = FORM.note(*auxv(table=BASE, count=0))
    entries = [(PT_NOTE, 0, offset, 0, len(notes), 0)]
    entries += [(PT_LOAD, 6, offset + 4096, BASE + at, size, size) for at in range(MANY)]
    return core(entries, notes.ljust(4096, b"\0") + bytes(size))


def one_byte_each() -> bytes:
    """The names of many entries in segments of a byte, 4 KiB until one ends."""
    notes, memory = split(linked([(0, at + 1) for at in range(MANY)], names=b""))
    start = 64 + 56 * (4096 + 2)
    entries = [(PT_NOTE, 0, start, 0, len(notes), 0)]
    entries += [(PT_LOAD, 5, start + len(notes), BASE, len(memory), len(memory))]
    entries += [(PT_LOAD, 5, 0, BASE + len(memory) + at, 1, 1) for at in range(4096)]
    return core(entries, notes + memory)


def split(whole: bytes) -> tuple[bytes, bytes]:
    """Notes and memory of a core that has one segment."""
    with in_file(whole) as path, open_core(path) as opened:
        (notes,), (memory,) = opened.table.notes, opened.segments
        return opened.read_file(notes.offset, notes.file_size), opened.read_file(memory.offset, memory.file_size)


def modules_everywhere(count: int = 4096) -> bytes:
    """Each of many mappings, and of many segments, shows the same module with ``count`` program headers."""
    headers = FORM.header(ET_DYN, count) + FORM.entry(PT_LOAD, 5, 0, 0, 1, 1) * count
    rows = [(BASE + at * len(headers), BASE + at * len(headers) + 1, 0, b"/lib/%d" % at) for at in range(MANY)]
    notes = FORM.note(NT_FILE, FORM.mappings(rows))
    start = 64 + 56 * (MANY + 1)
    entries = [(PT_NOTE, 0, start, 0, len(notes), 0)]
    entries += [(PT_LOAD, 5, start + len(notes), row[0], len(headers), len(headers)) for row in rows]
    return core(entries, notes + headers)


def overlapping_mappings() -> bytes:
    """All mappings have the dynamic sections of all entries."""
    notes, memory = split(linked([(0, at + 1) for at in range(MANY)]))
    notes += FORM.note(NT_FILE, FORM.mappings([(at, 1 << 40, 0, b"/lib/%d" % at) for at in range(MANY)]))
    start = 64 + 56 * 2
    load = (PT_LOAD, 5, start + len(notes), BASE, len(memory), len(memory))
    return core([(PT_NOTE, 0, start, 0, len(notes), 0), load], notes + memory)


CASES: dict[str, Callable[[], bytes]] = {
    "notes at the last offset": one_kind(PT_NOTE, LAST - 8, 100, 0),
    "notes behind it": one_kind(PT_NOTE, MAX_SIZE - 8, MAX_SIZE, 0),
    "notes of 2^63 bytes": one_kind(PT_NOTE, 120, 1 << 63, 0),
    "memory at the last offset": one_kind(PT_LOAD, LAST - 8, 100, 100),
    "memory past the end": one_kind(PT_LOAD, 1 << 40, 1 << 40, 1 << 40),
    "memory of 2^63 bytes": one_kind(PT_LOAD, 120, 1 << 63, 1 << 63),
    "memory of all bytes there are": one_kind(PT_LOAD, 0, MAX_SIZE, MAX_SIZE),
    "the headers' table at the last offset": lambda: FORM.header(ET_CORE, 9, table=LAST - 8),
    "the counting section at the last offset": lambda: FORM.header(ET_CORE, PN_XNUM, sections=LAST - 8),
    "a note's name of 4 GiB": lambda: core([(PT_NOTE, 0, 120, 0, 1 << 40, 0)], struct.pack("<III", 0xFFFFFFFF, 4, 1)),
    "a note of 4 GiB": lambda: core([(PT_NOTE, 0, 120, 0, 1 << 40, 0)], struct.pack("<III", 4, 0xFFFFFFFF, 1)),
    "an entry that follows itself": lambda: linked([(0, 0)]),
    "two that follow each other": lambda: linked([(0, 1), (0, 0)]),
    "a long way into a circle": lambda: linked([(0, at + 1) for at in range(999)] + [(0, 500)]),
    "overlapping segments": overlapping,
    "overlapping mappings": overlapping_mappings,
    "names in pieces of a byte": one_byte_each,
    "modules everywhere": modules_everywhere,
}


@pytest.mark.parametrize("name", CASES)
def test_an_attack_gets_an_answer(tmp_path: Path, name: str) -> None:
    path = tmp_path / "core"
    path.write_bytes(CASES[name]())
    with bounds(), contextlib.suppress(CoreboxError), open_core(str(path)) as opened:
        ask_everything(opened)


@pytest.mark.parametrize(
    ("name", "entries"),
    [("an entry that follows itself", 1), ("two that follow each other", 2), ("a long way into a circle", 1000)],
)
def test_entries_of_a_circle_come_once(tmp_path: Path, name: str, entries: int) -> None:
    path = tmp_path / "core"
    path.write_bytes(CASES[name]())
    with open_core(str(path)) as opened:
        assert len(opened.link_map) == entries


def test_memory_told_many_times_is_not_planned_many_times(tmp_path: Path) -> None:
    """Each of many segments is a hole of the file and has the same memory, with a mapping in every other page."""
    size, many = 64 << 20, 2000
    notes = FORM.note(NT_FILE, FORM.mappings([(at, at + 1, 0, b"/lib/a") for at in range(BASE, BASE + size, 8192)]))
    start = 64 + 56 * (many + 1)
    loads = [(PT_LOAD, 6, (1 << 20) + at * size, BASE, size, size) for at in range(many)]
    path = tmp_path / "core"
    with path.open("wb") as file:
        file.write(core([(PT_NOTE, 0, start, 0, len(notes), 0), *loads], notes))
        file.truncate((1 << 20) + many * size)
    with bounds(), open_core(str(path)) as opened:
        assert plan_compaction(opened).size == opened.size
        assert plan_slim(opened).dropped_memory == 0


def test_many_modules_that_are_missing_are_proved_in_time(tmp_path: Path) -> None:
    path = tmp_path / "core"
    path.write_bytes(modules_everywhere(count=1))
    with bounds(), open_core(str(path)) as opened, DiskRoot(str(tmp_path)) as root:
        places = Places(root, None, {}, None)
        proofs = [find_module(opened, module, places).proof for module in opened.modules]
    assert {proof.detail for proof in proofs} == {"no such file; 1 of the 1 bytes it had in memory are in the core"}
    assert len(proofs) == MANY


def test_of_too_many_modules_some_are_looked_for_and_the_rest_is_told(tmp_path: Path) -> None:
    path = tmp_path / "core"
    path.write_bytes(modules_everywhere(count=1))
    with bounds(), open_core(str(path)) as opened, DiskRoot(str(tmp_path)) as root:
        manifest = collect(opened, root, GatherOptions()).manifest
    assert len(manifest.modules) < MANY
    assert [omission.why for omission in manifest.missing if omission.path == MORE] == [
        f"{MANY - len(manifest.modules)} more modules were not looked for"
    ]
    assert not is_exact(manifest)
    assert parse_manifest(manifest.to_bytes()) == manifest
