"""The ELF header and the program headers, of files and of modules in memory (ELF gABI, chapters 4 and 5)."""

import struct
from typing import Iterator, NamedTuple, Optional

from corebox.coredump.values import Segment

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_PHDR = 1, 2, 3, 4, 6
PF_X, PF_W = 1, 2
ET_EXEC, ET_DYN, ET_CORE = 2, 3, 4
MAGIC = b"\x7fELF"
HEADER_SIZE = 64
PN_XNUM = 0xFFFF

_PROGRAM_HEADER = {64: "IIQQQQQQ", 32: "IIIIIIII"}


class Header(NamedTuple):
    """The ELF header; ``order`` is the byte order as ``struct`` writes it.

    ``entries`` of ``entry_size`` bytes at ``table_offset`` are the program headers, ``sections`` at ``section_offset``
    the section headers, of which ``section_names`` holds the names. ``entry`` is the address where it begins to run.
    """

    bits: int
    order: str
    kind: int
    machine: int
    table_offset: int
    section_offset: int
    entry_size: int
    entries: int
    entry: int
    sections: int
    section_names: int

    @property
    def byte_order(self) -> str:
        """The byte order: "little" or "big"."""
        return "little" if self.order == "<" else "big"

    @property
    def word(self) -> str:
        """The ``struct`` letter of an address."""
        return "Q" if self.bits == 64 else "I"

    @property
    def word_size(self) -> int:
        """The size of an address in bytes."""
        return self.bits // 8


def parse_header(data: bytes) -> Optional[Header]:
    """The header that ``data`` begins with; None if it is none or is cut."""
    if len(data) < 52 or data[:4] != MAGIC or data[4] not in (1, 2) or data[5] not in (1, 2):
        return None
    bits, order = (32, 64)[data[4] - 1], "<>"[data[5] - 1]
    layout = struct.Struct(order + ("HHIQQQIHHHHHH" if bits == 64 else "HHIIIIIHHHHHH"))
    if len(data) < 16 + layout.size:
        return None
    kind, machine, _, entry, table, sections, _, _, entry_size, count, _, section_count, names = layout.unpack_from(
        data, 16
    )
    return Header(bits, order, kind, machine, table, sections, entry_size, count, entry, section_count, names)


def entry_struct(header: Header) -> struct.Struct:
    """The layout of one program header."""
    return struct.Struct(header.order + _PROGRAM_HEADER[header.bits])


def parse_segments(header: Header, table: bytes) -> Iterator[Segment]:
    """The program headers in ``table``; a cut last one is left out."""
    layout = entry_struct(header)
    whole = memoryview(table)[: len(table) // layout.size * layout.size]
    if header.bits == 64:
        for kind, flags, offset, address, _, file_size, memory_size, _ in layout.iter_unpack(whole):
            yield Segment(kind, flags, offset, address, file_size, memory_size)
    else:
        for kind, offset, address, _, file_size, memory_size, flags, _ in layout.iter_unpack(whole):
            yield Segment(kind, flags, offset, address, file_size, memory_size)


def pack_segment(header: Header, segment: Segment, alignment: int) -> bytes:
    """One program header; the physical address is 0, as the kernel writes it."""
    kind, flags, offset, address, file_size, memory_size = segment
    if header.bits == 64:
        return entry_struct(header).pack(kind, flags, offset, address, 0, file_size, memory_size, alignment)
    return entry_struct(header).pack(kind, offset, address, 0, file_size, memory_size, flags, alignment)
