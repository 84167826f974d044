"""What the pictures of the memory show, as numbers for the page's template."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from corebox.bundle import MemoryEntry
from corebox.gather.progress import format_size

#: So wide a picture is, and the bars of memory by kind.
WIDTH, KIND_WIDTH = 1000, 300
#: Memory that is farther apart, in bytes, is drawn apart: nearly all of an address space is empty.
GAP = 16 << 20
#: More could not be told apart, and the core decides how many there are.
MOST_BARS = 4000
_THINNEST = 0.5


@dataclass(frozen=True)
class Region:
    """A run of memory of one kind (``corebox.coredump.KINDS``); ``dumped`` says whether it is in the core."""

    start: int
    end: int
    kind: str
    path: str
    dumped: bool


@dataclass(frozen=True)
class Picture:
    """Regions in clusters, and memory by kind; dictionaries as the template reads them."""

    clusters: tuple[dict[str, Any], ...]
    kinds: tuple[dict[str, Any], ...]


def draw(regions: Iterable[Region], memory: Sequence[MemoryEntry]) -> Picture:
    """Lay out the address space from left to right, and a bar for each kind of memory."""
    joined = sorted(_joined(regions), key=lambda each: each.start - each.end)[:MOST_BARS]
    joined.sort(key=lambda each: each.start)
    largest = max((entry.virtual for entry in memory), default=0) or 1
    kinds = (
        {
            "kind": entry.kind,
            "mapped": format_size(entry.virtual),
            "dumped": format_size(entry.dumped),
            "resident": "not known" if entry.resident is None else format_size(entry.resident),
            "mapped_width": round(KIND_WIDTH * entry.virtual / largest, 1),
            "dumped_width": round(KIND_WIDTH * entry.dumped / largest, 1),
        }
        for entry in memory
    )
    return Picture(tuple(_cluster(each) for each in _clusters(joined)), tuple(kinds))


def _joined(regions: Iterable[Region]) -> Iterator[Region]:
    last: Region | None = None
    for each in sorted(regions, key=lambda region: region.start):
        if last and (last.end, last.kind, last.path, last.dumped) == (each.start, each.kind, each.path, each.dumped):
            last = Region(last.start, each.end, each.kind, each.path, each.dumped)
            continue
        if last:
            yield last
        last = each
    if last:
        yield last


def _clusters(regions: Iterable[Region]) -> Iterator[list[Region]]:
    cluster: list[Region] = []
    for each in regions:
        if cluster and each.start - cluster[-1].end > GAP:
            yield cluster
            cluster = []
        cluster.append(each)
    if cluster:
        yield cluster


def _cluster(regions: list[Region]) -> dict[str, Any]:
    start, end = regions[0].start, max(each.end for each in regions)
    scale = WIDTH / (end - start or 1)
    bars = [
        {
            "kind": each.kind,
            "dumped": each.dumped,
            "x": round((each.start - start) * scale, 2),
            "width": round(max((each.end - each.start) * scale, _THINNEST), 2),
            "title": f"{each.start:#x}, {format_size(each.end - each.start)}, {each.kind} {each.path}".strip(),
        }
        for each in regions
    ]
    return {"start": start, "end": end, "size": format_size(end - start), "bars": bars}
