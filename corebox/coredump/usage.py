"""What the core says about the memory of the process.

The kernel leaves a hole for every page that was never written, so that the stored bytes of a core that it wrote into
a file are the resident or swapped pages (fs/coredump.c, ``dump_user_range``). Through a pipe, and from gcore, holes
come as zeros, and what was resident cannot be told, not even if somebody made holes of the zeros again: compressors,
``cp --sparse``, our own handler. The kernel never does that. It stores a page of zeros that was written, so that such
a page tells its holes from those that others made (on x86-64 there always is one: the vsyscall page).
"""

from array import array
from bisect import bisect_right
from collections import OrderedDict
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.linkmap import AT_RANDOM
from corebox.coredump.values import Segment
from corebox.files.extents import LAST_OFFSET, Extent

KINDS = ("file", "stack", "heap", "arena", "anonymous")

# A further arena of glibc's malloc grows in mappings of this size and alignment, which begin with a pointer to its
# state: its own for the first of them, just behind the pointer (glibc, malloc/arena.c: HEAP_MAX_SIZE, heap_info).
_ARENA = {8: 64 << 20, 4: 1 << 20}
_ARENA_HEADER = 0x100

_ZEROS = bytes(4096)
_PIECE, _MAX_LOOKED_AT = 1 << 20, 64 << 20


class MemoryUse(NamedTuple):
    """Memory in bytes: mapped, of that dumped, of that resident or swapped (None if the core cannot tell).

    ``mappings`` is the number of them that the core has a header for.
    """

    kind: str
    virtual: int
    dumped: int
    resident: Optional[int]
    mappings: int


def measure_memory(core: CoreFile) -> Tuple[MemoryUse, ...]:
    """The memory of each of ``KINDS``.

    They are mapped files, threads' stacks, the brk heap, further arenas of glibc's malloc, all other anonymous memory.
    Only ``core`` as the kernel wrote it can tell what was resident: a copy without holes, a compact core cannot.
    """
    stored = _Stored(core.extents())
    residents = [stored.of(segment) for segment in core.segments]
    known = sum(residents) < sum(segment.file_size for segment in core.segments) and _keeps_zeros(core, stored)
    totals: Dict[str, List[int]] = OrderedDict((kind, [0, 0, 0, 0]) for kind in KINDS)
    for (segment, kind), resident in zip(segment_kinds(core), residents):
        total = totals[kind]
        total[0] += segment.memory_size
        total[1] += segment.file_size
        total[2] += resident
        total[3] += 1
    return tuple(
        MemoryUse(kind, min(virtual, LAST_OFFSET), min(dumped, LAST_OFFSET), resident if known else None, mappings)
        for kind, (virtual, dumped, resident, mappings) in totals.items()
    )


def segment_kinds(core: CoreFile) -> Iterator[Tuple[Segment, str]]:
    """Each segment with the one of ``KINDS`` that it is."""
    classify = _Classifier(core)
    return ((segment, classify(segment)) for segment in core.segments)


class _Classifier:
    """Which kind of memory a segment is."""

    def __init__(self, core: CoreFile) -> None:
        self._files = {mapping.start for mapping in core.mappings}
        stacks = [thread.stack_pointer for thread in core.process.threads] + [core.auxv.get(AT_RANDOM)]
        self._stacks = sorted(pointer for pointer in stacks if pointer is not None)
        self._heap = self._find_heap(core)
        self._core = core
        self._arena_end = 0  # of the arena's mapping that we are in; what is behind its used part has no rights

    def __call__(self, segment: Segment) -> str:
        if segment.address in self._files:
            return "file"
        index = bisect_right(self._stacks, segment.address + segment.memory_size - 1) - 1
        if index >= 0 and self._stacks[index] >= segment.address:
            return "stack"
        if segment.address == self._heap:
            return "heap"
        return "arena" if self._is_arena(segment) else "anonymous"

    def _is_arena(self, segment: Segment) -> bool:
        end = segment.address + segment.memory_size
        if end <= self._arena_end:
            return True
        size = self._core.header.word_size
        whole = _ARENA[size]
        if segment.address % whole or segment.memory_size > whole or segment.file_size < size:
            return False
        data = self._core.read_available(segment.address, size)
        state = int.from_bytes(data, "little" if self._core.byte_order == "little" else "big")
        if not 0 < state - state % whole <= segment.address or not state % whole < _ARENA_HEADER:
            return False
        self._arena_end = segment.address + whole
        return True

    def _find_heap(self, core: CoreFile) -> Optional[int]:
        """The brk heap is the first anonymous memory behind the executable and its zero-initialised data."""
        end = max((m.end for m in core.modules if m.is_executable), default=None)
        if end is None:
            return None
        behind = (s for s in core.segments if s.address > end and s.address not in self._files)
        return min((s.address for s in behind), default=None)


class _Stored:
    """The extents that a core's file stores; 24 bytes for each, for there may be millions."""

    def __init__(self, extents: Iterable[Extent]) -> None:
        self._starts, self._ends, self._before = array("Q"), array("Q"), array("Q", [0])
        for extent in extents:
            self._starts.append(extent.offset)
            self._ends.append(extent.offset + extent.size)
            self._before.append(self._before[-1] + extent.size)

    def of(self, segment: Segment) -> int:
        """How many bytes of a segment are stored."""
        return self._up_to(segment.offset + segment.file_size) - self._up_to(segment.offset)

    def _up_to(self, offset: int) -> int:
        index = bisect_right(self._starts, offset) - 1
        return self._before[index] + min(offset, self._ends[index]) - self._starts[index] if index >= 0 else 0

    def pieces_from_the_end(self) -> Iterator[Tuple[int, int]]:
        """Offset and size of pieces to read."""
        for start, end in zip(reversed(self._starts), reversed(self._ends)):
            for offset in range(start + (end - start - 1) // _PIECE * _PIECE, start - 1, -_PIECE):
                yield offset, min(_PIECE, end - offset)


def _keeps_zeros(core: CoreFile, stored: _Stored) -> bool:
    """Whether the core stores a page of zeros; not all of a large one is read."""
    left = _MAX_LOOKED_AT
    for offset, size in stored.pieces_from_the_end():
        data = core.read_file(offset, size)
        if any(data.startswith(_ZEROS, at) for at in range(0, len(data), len(_ZEROS))):
            return True
        left -= size
        if left <= 0:
            break
    return False
