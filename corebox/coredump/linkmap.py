"""The dynamic linker's list of what it loaded, read out of memory as debuggers do it.

AT_PHDR → PT_DYNAMIC → DT_DEBUG → ``struct r_debug`` → ``struct link_map`` (glibc's elf/link.h; ELF gABI chapter 5).
"""

import os
import struct
from typing import Dict, Iterable, List, NamedTuple, Tuple

from corebox.coredump import faults
from corebox.coredump.header import (
    HEADER_SIZE,
    MAGIC,
    PT_DYNAMIC,
    PT_INTERP,
    PT_PHDR,
    Header,
    entry_struct,
    parse_header,
    parse_segments,
)
from corebox.coredump.identity import load_bias
from corebox.coredump.memory import Memory
from corebox.coredump.values import LinkMapEntry, Segment

AT_PHDR, AT_PHNUM, AT_RANDOM = 3, 5, 25
DT_NULL, DT_DEBUG = 0, 21

MAX_ENTRIES = 65536
#: PATH_MAX, and of all names together: thousands of libraries have less than one megabyte.
MAX_NAME_LENGTH, MAX_NAMES = 4096, 2 << 20
MAX_PROGRAM_HEADERS = 4096
SEARCHED = 16 << 20


def program_headers(memory: Memory, header: Header, address: int, count: int) -> Tuple[Segment, ...]:
    """The program headers of a module at ``address`` in memory, as many as are there.

    Raises:
        InputError: ``not-a-core`` when all that were asked for of this core are more than modules can have.
    """
    size = entry_struct(header).size
    found = tuple(parse_segments(header, memory.read_available(address, min(count, MAX_PROGRAM_HEADERS) * size)))
    memory.headers_left -= len(found)
    if memory.headers_left < 0:
        raise faults.endless_headers()
    return found


def executable_bias(segments: Tuple[Segment, ...], table: int) -> int:
    """How far the executable lies from its linked address: 0 unless it is position-independent.

    PT_PHDR says where the headers were linked to be; without one (static executables) the headers follow the
    64-byte ELF header at the start of the segment linked lowest.
    """
    for segment in segments:
        if segment.kind == PT_PHDR:
            return table - segment.address
    lowest = min((s.address for s in segments if s.kind == 1 and s.offset == 0), default=0)
    return (table & ~0xFFF) - (lowest & ~0xFFF) if lowest == 0 else 0


class RawEntry(NamedTuple):
    """One ``struct link_map`` as it stands in memory at ``address``; ``name`` is the address of its path."""

    address: int
    base: int
    name: int
    dynamic: int


def walk_entries(memory: Memory, header: Header, auxv: Dict[int, int]) -> Tuple[RawEntry, ...]:
    """The entries in load order; as many as the core has, none for a static executable."""
    address = _first_entry(memory, header, auxv)
    found: List[RawEntry] = []
    seen = set()
    entry = struct.Struct(header.order + 4 * header.word)
    while address and address not in seen and len(found) < MAX_ENTRIES:
        seen.add(address)
        data = memory.read_available(address, entry.size)
        if len(data) < entry.size:
            break
        base, name, dynamic, following = entry.unpack(data)
        found.append(RawEntry(address, base, name, dynamic))
        address = following
    return tuple(found)


def walk_link_map(memory: Memory, header: Header, auxv: Dict[int, int]) -> Tuple[LinkMapEntry, ...]:
    """The entries in load order, with their names; a name that is not in the core is empty."""
    found: List[LinkMapEntry] = []
    names: Dict[int, str] = {0: ""}
    left = MAX_NAMES
    for raw in walk_entries(memory, header, auxv):
        if raw.name not in names and left > 0:
            name = memory.read_string(raw.name, MAX_NAME_LENGTH)
            left -= len(name) or MAX_NAME_LENGTH  # as much may have been read of one without an end
            names[raw.name] = os.fsdecode(name)
        found.append(LinkMapEntry(names.get(raw.name, ""), raw.base, raw.dynamic))
    return tuple(found)


def _first_entry(memory: Memory, header: Header, auxv: Dict[int, int]) -> int:
    table = auxv.get(AT_PHDR, 0)
    segments = program_headers(memory, header, table, auxv.get(AT_PHNUM, 0))
    found = _entry_of(memory, header, segments, executable_bias(segments, table))
    if found or any(segment.kind == PT_INTERP for segment in segments):
        return found
    found = 0 if segments or not table else _search_first_entry(memory, header, table)
    return found or _first_entry_of_any(memory, header)


def _first_entry_of_any(memory: Memory, header: Header) -> int:
    """The list's head out of the program that has it, where the auxiliary vector does not lead to that.

    It leads to ld.so(8) where that was run with the program as its argument, and Valgrind's cores have none.
    """
    for start in memory.starts_with(MAGIC):
        image = parse_header(memory.read_available(start, HEADER_SIZE))
        if image and image.bits == header.bits and image.order == header.order:
            segments = program_headers(memory, image, start + image.table_offset, image.entries)
            found = _entry_of(memory, header, segments, load_bias(segments, start))
            if found:
                return found
    return 0


def _entry_of(memory: Memory, header: Header, segments: Iterable[Segment], bias: int) -> int:
    """The list's head as the dynamic section of an image tells it, 0 if it does not."""
    dynamic = next((s for s in segments if s.kind == PT_DYNAMIC), None)
    if dynamic is None:
        return 0
    address = bias + dynamic.address
    pair = struct.Struct(header.order + 2 * header.word)
    data = memory.read_available(address, min(dynamic.memory_size, 1 << 16))
    for key, value in pair.iter_unpack(data[: len(data) // pair.size * pair.size]):
        if key == DT_DEBUG:
            return _head_of(memory, header, value)
        if key == DT_NULL:
            break
    return 0


def _head_of(memory: Memory, header: Header, debug: int) -> int:
    """``r_debug.r_map``; ``r_version`` before it is padded to a word."""
    word = header.word_size
    pointer = memory.read_available(debug + word, word) if debug else b""
    return int(struct.unpack(header.order + header.word, pointer)[0]) if len(pointer) == word else 0


def _search_first_entry(memory: Memory, header: Header, table: int) -> int:
    """The list's head where the executable's headers are not in the core (coredump_filter 0x23, qemu-user).

    Its dynamic section is, being written to: look for a DT_DEBUG that leads to an entry that points back at the
    section holding it, which nothing else does.
    """
    pair = struct.Struct(header.order + 2 * header.word)
    key = struct.pack(header.order + header.word, DT_DEBUG)
    for start, data in memory.pieces(table, table + SEARCHED, SEARCHED):
        at = data.find(key)
        while at >= 0:
            if at % header.word_size == 0 and at + pair.size <= len(data):
                head = _head_of(memory, header, pair.unpack_from(data, at)[1])
                entry = memory.read_available(head, 3 * header.word_size) if head else b""
                if len(entry) == 3 * header.word_size:
                    dynamic = struct.unpack(header.order + 3 * header.word, entry)[2]
                    if start <= dynamic <= start + at < dynamic + (1 << 12):
                        return head
            at = data.find(key, at + 1)
    return 0
