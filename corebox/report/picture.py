"""What the pictures of the memory show, as numbers for the page's template."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from posixpath import basename
from typing import Any, NamedTuple

from corebox.bundle.manifest import MemoryEntry
from corebox.printable import format_size
from corebox.report.regions import Region

#: So wide a picture is.
WIDTH = 1000
#: Of gaps that are larger than this, in bytes, the largest are left out: nearly all of an address space is empty.
GAP = 1 << 20
MAX_ISLANDS = 10
#: More could not be told apart, and the core decides how many there are.
MAX_REGIONS = 2000
_THINNEST = 1.5
_MAX_NAMES = 4
#: The upper half of the address space is the kernel's: what is there (x86's vsyscall page) is no memory of the process.
_KERNEL = 1 << 63


class Picture(NamedTuple):
    """The map's islands, and memory by kind; dictionaries as the template reads them."""

    islands: tuple[dict[str, Any], ...]
    kinds: tuple[dict[str, Any], ...]


def draw(regions: Iterable[Region], memory: Sequence[MemoryEntry]) -> Picture:
    """Lay out the address space as islands of memory, each from left to right, and a bar for each kind of memory."""
    own = (region for region in regions if region.start < _KERNEL)
    drawn = sorted(own, key=lambda region: region.start - region.end)[:MAX_REGIONS]
    drawn.sort(key=lambda region: region.start)
    largest = max((entry.virtual for entry in memory), default=0) or 1
    return Picture(
        tuple(_island(island) for island in _islands(drawn)), tuple(_kind(entry, WIDTH / largest) for entry in memory)
    )


def _kind(entry: MemoryEntry, scale: float) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "mapped": format_size(entry.virtual),
        "dumped": format_size(entry.dumped),
        "resident": "cannot tell" if entry.resident is None else format_size(entry.resident),
        "mapped_width": _width(entry.virtual * scale),
        "dumped_width": _width(entry.dumped * scale),
        "resident_width": _width((entry.dumped if entry.resident is None else entry.resident) * scale),
    }


def _width(width: float) -> float:
    """What is there is seen."""
    return round(max(width, _THINNEST), 2) if width else 0


def _islands(regions: Sequence[Region]) -> Iterator[Sequence[Region]]:
    gaps = ((after.start - before.end, index) for index, (before, after) in enumerate(pairwise(regions), 1))
    cuts = sorted(index for _, index in sorted((gap for gap in gaps if gap[0] > GAP), reverse=True)[: MAX_ISLANDS - 1])
    for start, end in zip([0, *cuts], [*cuts, len(regions)], strict=True):
        if start < end:
            yield regions[start:end]


def _island(regions: Sequence[Region]) -> dict[str, Any]:
    start, end = regions[0].start, max(region.end for region in regions)
    scale = WIDTH / (end - start or 1)

    def bar(begin: int, stop: int) -> dict[str, float]:
        return {"x": round((begin - start) * scale, 2), "width": _width((stop - begin) * scale)}

    return {
        "start": start,
        "end": end,
        "name": _name(regions),
        "mapped": format_size(sum(region.end - region.start for region in regions)),
        "stored": format_size(sum(stop - begin for region in regions for begin, stop in region.stored)),
        "bars": [
            {
                **bar(region.start, region.end),
                "kind": region.kind,
                "dumped": region.dumped,
                "stored": [bar(*run) for run in region.stored],
                "title": f"{region.start:#x}, {format_size(region.end - region.start)}, {region.kind} {region.path}",
            }
            for region in regions
        ],
    }


def _name(regions: Sequence[Region]) -> str:
    """What is in an island: the names of its files and kinds, the largest first."""
    sizes: dict[str, int] = {}
    for region in regions:
        name = basename(region.path) or region.kind
        sizes[name] = sizes.get(name, 0) + region.end - region.start
    names = sorted(sizes, key=lambda name: -sizes[name])
    more = [f"{len(names) - _MAX_NAMES} more"] if len(names) > _MAX_NAMES else []
    return ", ".join(names[:_MAX_NAMES] + more)
