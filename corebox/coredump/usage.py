"""What the core says about the memory of the process.

The kernel leaves a hole for every page that was never written, so that the stored bytes of a core that it wrote into
a file are the resident or swapped pages (fs/coredump.c, ``dump_user_range``). Through a pipe, and from gcore, holes
come as zeros, and what was resident cannot be told.
"""

from bisect import bisect_right
from collections import OrderedDict
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.linkmap import AT_RANDOM
from corebox.coredump.values import Extent, Segment

KINDS = ("file", "stack", "heap", "anonymous")


class MemoryUse(NamedTuple):
    """Memory in bytes: mapped, of that dumped, of that resident or swapped (None if the core cannot tell)."""

    kind: str
    virtual: int
    dumped: int
    resident: Optional[int]


def measure_memory(core: CoreFile) -> Tuple[MemoryUse, ...]:
    """The memory of each of ``KINDS``: mapped files, threads' stacks, the brk heap, all other anonymous memory.

    Only ``core`` as the kernel wrote it can tell what was resident: a copy without holes, a compact core cannot.
    """
    stored = _stored(core.segments, core.extents())
    told = sum(stored) < sum(segment.file_size for segment in core.segments)
    classify = _Classifier(core)
    totals: Dict[str, List[int]] = OrderedDict((kind, [0, 0, 0]) for kind in KINDS)
    for segment, resident in zip(core.segments, stored):
        total = totals[classify(segment)]
        total[0] += segment.memory_size
        total[1] += segment.file_size
        total[2] += resident
    return tuple(
        MemoryUse(kind, virtual, dumped, resident if told else None)
        for kind, (virtual, dumped, resident) in totals.items()
    )


class _Classifier:
    """Which kind of memory a segment is."""

    def __init__(self, core: CoreFile) -> None:
        self._files = {mapping.start for mapping in core.mappings}
        stacks = [thread.stack_pointer for thread in core.process.threads] + [core.auxv.get(AT_RANDOM)]
        self._stacks = sorted(pointer for pointer in stacks if pointer is not None)
        self._heap = self._find_heap(core)

    def __call__(self, segment: Segment) -> str:
        if segment.address in self._files:
            return "file"
        index = bisect_right(self._stacks, segment.address + segment.memory_size - 1) - 1
        if index >= 0 and self._stacks[index] >= segment.address:
            return "stack"
        return "heap" if segment.address == self._heap else "anonymous"

    def _find_heap(self, core: CoreFile) -> Optional[int]:
        """The brk heap is the first anonymous memory behind the executable and its zero-initialised data."""
        end = max((m.end for m in core.modules if m.is_executable), default=None)
        if end is None:
            return None
        behind = (s for s in core.segments if s.address > end and s.address not in self._files)
        return min((s.address for s in behind), default=None)


def _stored(segments: Sequence[Segment], extents: Iterable[Extent]) -> List[int]:
    """How many bytes of each segment the file stores."""
    ends: List[int] = []
    starts: List[int] = []
    before = [0]
    for extent in extents:
        starts.append(extent.offset)
        ends.append(extent.offset + extent.size)
        before.append(before[-1] + extent.size)

    def up_to(offset: int) -> int:
        index = bisect_right(starts, offset) - 1
        return before[index] + min(offset, ends[index]) - starts[index] if index >= 0 else 0

    return [up_to(s.offset + s.file_size) - up_to(s.offset) for s in segments]
