"""The program headers of a core file: read, counted beyond 65,534, and measured against the file's size."""

import os
import struct
from functools import partial
from typing import Callable, List, NamedTuple, Optional, Tuple

from corebox.coredump import faults
from corebox.coredump.header import (
    ET_CORE,
    HEADER_SIZE,
    PN_XNUM,
    PT_LOAD,
    PT_NOTE,
    Header,
    entry_struct,
    parse_header,
    parse_segments,
)
from corebox.coredump.values import Segment, Truncation
from corebox.files.extents import LAST_OFFSET, read_at

# vm.max_map_count is 65,530 by default and 1 to 2 million on hosts of databases.
MAX_SEGMENTS = 4000000
#: Returns up to ``size`` bytes of a core at ``offset``.
ReadCore = Callable[[int, int], bytes]


class ProgramTable(NamedTuple):
    """The program headers; ``expected`` is how many there should be, ``counted`` whether the core still says it.

    ``headers`` are all that are there, ``end`` is the offset behind the table.
    """

    header: Header
    headers: Tuple[Segment, ...]
    segments: Tuple[Segment, ...]
    notes: Tuple[Segment, ...]
    expected: int
    counted: bool
    end: int

    @property
    def cut(self) -> bool:
        """Whether the file ends within the table."""
        return len(self.headers) < self.expected


def read_table(descriptor: int, path: str) -> ProgramTable:
    """The program headers that the file has; raises InputError not-a-core."""
    start = read_at(descriptor, 0, HEADER_SIZE)
    header = parse_header(start)
    if header is None or header.kind != ET_CORE or header.entry_size != entry_struct(header).size:
        raise faults.not_a_core(path, start, os.fstat(descriptor).st_size)
    entry_size = header.entry_size
    count, counted = count_segments(partial(read_at, descriptor), header)
    if count > MAX_SEGMENTS:
        raise faults.not_a_core(path, start)
    table = read_at(descriptor, header.table_offset, count * entry_size)
    found = list(parse_segments(header, table))
    return ProgramTable(
        header,
        tuple(found),
        tuple(s for s in found if s.kind == PT_LOAD),
        tuple(s for s in found if s.kind == PT_NOTE),
        count,
        counted,
        header.table_offset + count * entry_size,
    )


def section_size(header: Header) -> int:
    """The size of a section header."""
    return 64 if header.bits == 64 else 40


def section_zero(header: Header, count: int) -> bytes:
    """As the kernel's ``fill_extnum_info`` (fs/binfmt_elf.c): sh_size 1 section, sh_info the count."""
    if header.bits == 64:
        return struct.pack(header.order + "IIQQQQIIQQ", 0, 0, 0, 0, 0, 1, 0, count, 0, 0)
    return struct.pack(header.order + "10I", 0, 0, 0, 0, 0, 1, 0, count, 0, 0)


def count_segments(read: ReadCore, header: Header) -> Tuple[int, bool]:
    """How many program headers there are, and whether the core still says it (PN_XNUM, elf(5)) or it is a guess."""
    count = _extended_count(read, header) if header.entries == PN_XNUM else header.entries
    return (_guess_count(read, header), False) if count is None else (count, True)


def _extended_count(read: ReadCore, header: Header) -> Optional[int]:
    """``sh_info`` of section 0, which the kernel writes behind all memory; None if the file is cut before it."""
    if not header.section_offset:
        return PN_XNUM
    data = read(header.section_offset, section_size(header))
    if len(data) < section_size(header):
        return None
    return int(struct.unpack_from(header.order + "I", data, 44 if header.bits == 64 else 28)[0])


def _guess_count(read: ReadCore, header: Header) -> int:
    """How many fit before the first thing behind them: the kernel writes the notes, or memory, next to the table."""
    first = list(parse_segments(header, read(header.table_offset, 2 * header.entry_size)))
    behind = [s.offset for s in first if s.offset > header.table_offset]
    return (min(behind) - header.table_offset) // header.entry_size if behind else 0


def measure_truncation(table: ProgramTable, size: int) -> Optional[Truncation]:
    """What the headers promise beyond ``size``; None if nothing."""
    header = table.header
    ends = [s.offset + s.file_size for s in table.segments + table.notes]
    expected = max([*ends, table.end])
    if header.entries == PN_XNUM:
        expected = max(expected, header.section_offset + section_size(header))
    expected = min(expected, LAST_OFFSET)
    if expected <= size:
        return None
    cut = table.cut
    lost: List[str] = []
    if cut or not table.counted:
        lost.append("headers")
    if (cut and not table.notes) or any(s.offset + s.file_size > size for s in table.notes):
        lost.append("notes")
    if cut or any(s.offset + s.file_size > size for s in table.segments):
        lost.append("memory")
    return Truncation(expected, size, expected - size, tuple(lost))
