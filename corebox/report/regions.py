"""The memory of a process as a core shows it: what was mapped, what of it is in the core, and what was ever written."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from corebox.coredump.core import CoreFile
from corebox.coredump.usage import segment_kinds
from corebox.coredump.values import Segment
from corebox.files.extents import Extent

_MAX_RUNS = 500  # of a region: more could not be drawn apart


class Region(NamedTuple):
    """A run of memory of one kind (``corebox.coredump.KINDS``).

    ``dumped`` says whether the core has it; ``stored`` are the runs (start, end) of it that the core's file really
    stores: what is between them was never written.
    """

    start: int
    end: int
    kind: str
    path: str
    dumped: bool
    stored: tuple[tuple[int, int], ...]


def regions_of(core: CoreFile) -> Iterator[Region]:
    """The memory that was mapped, in the order of the core's file."""
    files = sorted(core.mappings)
    starts = [mapping.start for mapping in files]
    kinds = sorted(segment_kinds(core), key=lambda each: each[0].offset)
    for (segment, kind), runs in zip(kinds, stored_runs([each for each, _ in kinds], core.extents()), strict=True):
        index = bisect_right(starts, segment.address) - 1
        # A compact core cuts mappings in pieces, and only the first begins where the file's mapping does.
        mapped = index >= 0 and segment.address < files[index].end
        yield Region(
            start=segment.address,
            end=segment.address + segment.memory_size,
            kind="file" if mapped else kind,
            path=files[index].path if mapped else "",
            dumped=segment.file_size > 0,
            stored=runs,
        )


def stored_runs(segments: Iterable[Segment], extents: Iterator[Extent]) -> Iterator[tuple[tuple[int, int], ...]]:
    """For each segment the runs of addresses whose bytes the core stores; both are in the order of the file.

    Runs of a segment that are too near each other to be drawn apart are one.
    """
    extent = next(extents, None)
    for segment in segments:
        near = segment.memory_size // _MAX_RUNS
        end, base = segment.offset + segment.file_size, segment.address - segment.offset
        runs: list[tuple[int, int]] = []
        while extent and extent.offset < end:
            start, stop = base + max(extent.offset, segment.offset), base + min(extent.offset + extent.size, end)
            if runs and start - runs[-1][1] <= near:
                runs[-1] = (runs[-1][0], stop)
            elif start < stop:
                runs.append((start, stop))
            if extent.offset + extent.size > end:
                break  # it goes on in the next segment
            extent = next(extents, None)
        yield tuple(runs)
