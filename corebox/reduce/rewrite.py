"""New program headers for a core that leaves some of its file ranges out.

Shared by the compact core, whose holes still are memory, and the slim core, which knows nothing of what it drops.
"""

import struct
from bisect import bisect_right
from typing import Iterable, List, NamedTuple, Sequence, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.header import PN_XNUM, PT_LOAD, Header, pack_segment
from corebox.coredump.table import section_size, section_zero
from corebox.coredump.values import Segment
from corebox.files.extents import PAGE, Extent

# More than any table of program headers grows by.
MAX_GROWTH = 16 << 20


class Rewrite(NamedTuple):
    """``head`` replaces the original's first ``body_start`` bytes, ``kept`` follows in file order, then ``tail``."""

    head: bytes
    body_start: int
    kept: Tuple[Extent, ...]
    tail: bytes


class Run(NamedTuple):
    """``size`` bytes that are at ``original`` in the original core and at ``compact`` in the new one."""

    original: int
    compact: int
    size: int


def place_runs(rewrite: Rewrite) -> Tuple[Tuple[Run, ...], int]:
    """Where the kept ranges go, and the size of the new core."""
    runs: List[Run] = []
    position = len(rewrite.head)
    for kept in rewrite.kept:
        runs.append(Run(kept.offset, position, kept.size))
        position += kept.size
    return tuple(runs), position + len(rewrite.tail)


def plan_rewrite(
    core: CoreFile, holes: Sequence[Extent], protected: Sequence[Tuple[int, int]], remembered: bool
) -> Rewrite:
    """Leave the ``holes`` (file ranges, ascending) out of the PT_LOADs, but for ``protected`` address ranges.

    If they are ``remembered``, they become PT_LOADs without bytes, which debuggers read as zeros; else debuggers say
    that there is no such memory. A core whose parts overlap, or that is cut within its headers, stays as it is.
    """
    if not is_regular(core):
        return Rewrite(b"", 0, (Extent(0, core.size),) if core.size else (), b"")
    body = core.table.end
    pieces: List[Segment] = []
    dropped: List[Extent] = []
    guard = Ranges(protected)
    ahead = _Holes(holes)
    for segment in core.table.headers:
        if segment.kind != PT_LOAD:
            pieces.append(segment)
            continue
        cuts = [cut for hole in ahead.within(segment) for cut in guard.without(segment, hole)]
        pieces.extend(_split(segment, cuts, remembered))
        dropped.extend(cuts)
    dropped.sort()
    kept = _complement(dropped, body, core.size)
    return _assemble(core, body, pieces, dropped, kept)


def is_regular(core: CoreFile) -> bool:
    """Whether headers come first, no byte of file or memory belongs to two of them, and all numbers make sense."""
    table, header = core.table, core.header
    # e_ehsize may be anything: what is rewritten is the header that was read.
    if table.cut or not table.counted or header.table_offset != (64 if header.bits == 64 else 52):
        return False
    top = 1 << header.bits
    loads = [s for s in table.headers if s.kind == PT_LOAD]
    if any(s.file_size > s.memory_size or s.address + s.memory_size > top for s in loads):
        return False
    memory = sorted((s.address, s.address + s.memory_size) for s in loads)
    ranges = sorted((s.offset, s.offset + s.file_size) for s in table.headers if s.file_size)
    ends = [table.end] + [end for _, end in ranges]
    memory_ends = [0] + [end for _, end in memory]
    return ends[-1] < top - MAX_GROWTH and _is_disjoint(ranges, ends) and _is_disjoint(memory, memory_ends)


def _is_disjoint(ranges: Iterable[Tuple[int, int]], ends: Iterable[int]) -> bool:
    """Whether each of the sorted ``ranges`` begins at the one of ``ends`` before it, or behind it."""
    return all(start >= end for (start, _), end in zip(ranges, ends))


class Ranges:
    """Address ranges, sorted and merged."""

    def __init__(self, ranges: Iterable[Tuple[int, int]]) -> None:
        self.merged: List[Tuple[int, int]] = []
        for start, end in sorted(ranges):
            if self.merged and start <= self.merged[-1][1]:
                self.merged[-1] = (self.merged[-1][0], max(end, self.merged[-1][1]))
            else:
                self.merged.append((start, end))
        self.starts = [start for start, _ in self.merged]

    def contains(self, address: int) -> bool:
        """Whether one of the ranges has the address."""
        index = bisect_right(self.starts, address) - 1
        return index >= 0 and address < self.merged[index][1]

    def without(self, segment: Segment, hole: Extent) -> List[Extent]:
        """The parts of ``hole`` in ``segment``, whole pages of memory, that no protected range has."""
        shift = segment.address - segment.offset
        start, end = -(-(hole.offset + shift) & -PAGE), (hole.offset + hole.size + shift) & -PAGE
        free: List[Extent] = []
        for index in range(max(0, bisect_right(self.starts, start) - 1), len(self.merged)):
            low, high = self.merged[index]
            if low >= end:
                break
            if low > start:
                free.append(Extent(start - shift, low - start))
            start = max(start, high)
        if start < end:
            free.append(Extent(start - shift, end - start))
        return free

    def outside(self, segment: Segment) -> List[Extent]:
        """The file ranges of the segment's bytes, whole pages, that no range has."""
        return self.without(segment, Extent(segment.offset, segment.file_size))


class _Holes:
    """Holes of the file, by the segment that they lie in."""

    def __init__(self, holes: Sequence[Extent]) -> None:
        self.holes = holes
        self.offsets = [hole.offset for hole in holes]

    def within(self, segment: Segment) -> List[Extent]:
        """The parts of holes that lie in the segment's bytes."""
        found: List[Extent] = []
        end = segment.offset + segment.file_size
        for index in range(max(0, bisect_right(self.offsets, segment.offset) - 1), len(self.holes)):
            hole = self.holes[index]
            if hole.offset >= end:
                break
            start, stop = max(hole.offset, segment.offset), min(hole.offset + hole.size, end)
            if start < stop:
                found.append(Extent(start, stop - start))
        return found


def _split(segment: Segment, cuts: Sequence[Extent], remembered: bool) -> List[Segment]:
    """The segment as PT_LOADs with bytes and without; memory behind its bytes stays with the last one."""
    pieces: List[Segment] = []
    position, end = segment.offset, segment.offset + segment.file_size
    for cut in cuts:
        if cut.offset > position:
            pieces.append(_part(segment, position, cut.offset - position, cut.offset - position))
        if remembered:
            pieces.append(_part(segment, cut.offset, 0, cut.size))
        position = cut.offset + cut.size
    beyond = segment.memory_size - segment.file_size
    if position < end or beyond > 0 or not cuts:
        pieces.append(_part(segment, position, end - position, end - position + beyond))
    return pieces


def _part(segment: Segment, offset: int, file_size: int, memory_size: int) -> Segment:
    address = segment.address + offset - segment.offset
    return segment._replace(offset=offset, address=address, file_size=file_size, memory_size=memory_size)


def _complement(dropped: Sequence[Extent], start: int, end: int) -> List[Extent]:
    kept: List[Extent] = []
    for gap in dropped:
        if min(gap.offset, end) > start:
            kept.append(Extent(start, min(gap.offset, end) - start))
        start = max(start, gap.offset + gap.size)
    if start < end:
        kept.append(Extent(start, end - start))
    return kept


def _assemble(
    core: CoreFile, body: int, pieces: Sequence[Segment], dropped: Sequence[Extent], kept: Sequence[Extent]
) -> Rewrite:
    header = core.header
    count = len(pieces)
    table_end = header.table_offset + count * header.entry_size
    # What is kept moves by whole pages, so that offsets stay congruent with addresses (gABI, p_align).
    head_size = table_end + (body - table_end) % PAGE
    shift = _Shift(body, head_size, dropped)
    extended = count >= PN_XNUM
    end = head_size + sum(extent.size for extent in kept)
    start = bytearray(core.read_file(0, header.table_offset))
    _patch_header(start, header, count, end if extended else 0)
    table = b"".join(pack_segment(header, shift.moved(piece), _alignment(piece)) for piece in pieces)
    tail = section_zero(header, count) if extended else b""
    return Rewrite((bytes(start) + table).ljust(head_size, b"\0"), body, tuple(kept), tail)


def _alignment(segment: Segment) -> int:
    """Notes are aligned to 4: binutils refuses to read those of any other p_align but 8 (elf_parse_notes)."""
    return PAGE if segment.kind == PT_LOAD else 4


class _Shift:
    """Where an offset of the original is in the new file."""

    def __init__(self, body: int, new_body: int, dropped: Sequence[Extent]) -> None:
        self.body = body
        self.base = new_body - body
        self.ends = [extent.offset + extent.size for extent in dropped]
        self.before = [0]
        for extent in dropped:
            self.before.append(self.before[-1] + extent.size)

    def moved(self, segment: Segment) -> Segment:
        """The segment with its new offset; one without bytes is where they would be, as the kernel writes it.

        Not at 0: binutils looks for a build ID at each offset, and takes the core's own notes once more there
        (``_bfd_elf_core_find_build_id``).
        """
        offset = max(segment.offset, self.body)
        gone = self.before[bisect_right(self.ends, offset)]
        return segment._replace(offset=offset + self.base - gone)


def _patch_header(start: bytearray, header: Header, count: int, section_offset: int) -> None:
    """No section headers but the one that counts beyond 65,534 (PN_XNUM, elf(5)); gcore's would point anywhere."""
    fields = (header.entry_size, min(count, PN_XNUM), section_size(header), 1 if section_offset else 0, 0)
    struct.pack_into(header.order + header.word, start, 40 if header.bits == 64 else 32, section_offset)
    struct.pack_into(header.order + "5H", start, 54 if header.bits == 64 else 42, *fields)
