"""The compact core: the same core without its holes, so that nothing on the way has to understand sparse files.

Long holes become PT_LOADs of their own without bytes in the file (``p_filesz`` 0, ``p_memsz`` the hole), which gdb
reads as zeros. Holes in the memory of modules stay as they are: there gdb would read the mapped file instead
(gdb/corelow.c). All else is copied in order, so that the original comes back bit for bit, from the compact core and
its layout. A hole is what is zero: the compact core depends on the core's content, not on the file system it was on.
"""

from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from corebox.coredump.core import CoreFile
from corebox.files.extents import PAGE, Extent, data_within
from corebox.reduce.original import Layout, describe_layout
from corebox.reduce.rewrite import Run, place_runs, plan_rewrite

if TYPE_CHECKING:
    from corebox.files.ahead import Ahead

# Every hole costs readers a program header: the shortest that is left out doubles until so many are left.
MIN_HOLE_LENGTH = 16 << 10
MAX_HOLES = 4096


class CompactionPlan(NamedTuple):
    """The compact core: ``head``, then the runs of the original, then ``tail``; ``size`` in bytes is their sum."""

    original_size: int
    original_head: bytes
    head: bytes
    runs: Tuple[Run, ...]
    tail: bytes
    size: int

    def layout(self) -> Dict[str, object]:
        """The JSON object from which ``restore`` makes the original again."""
        return describe_layout(Layout(self.original_size, self.original_head, self.runs))


def plan_compaction(
    core: CoreFile, on_progress: Callable[[int], object] = lambda _: None, ahead: "Optional[Ahead]" = None
) -> CompactionPlan:
    """Plan the compact core. A core whose parts overlap, or that is cut within its headers, stays as it is.

    All of the core is read, here or ``ahead``; ``on_progress`` is called with the number of bytes.
    """
    if ahead:
        data = ahead.extents(core.fileno(), core.size, on_progress)
    else:
        data = data_within(core.content(), core.extents(), core.size, 0, on_progress)
    long = _longest(_holes(data, core.size))
    rewrite = plan_rewrite(core, long, _protected(core), remembered=True)
    runs, size = place_runs(rewrite)
    original = core.read_file(0, rewrite.body_start)
    return CompactionPlan(core.size, original, rewrite.head, runs, rewrite.tail, size)


def _holes(data: Iterable[Extent], size: int) -> List[Extent]:
    """The runs of zeros between the ``data`` that are long enough to be left out."""
    holes, position = [], 0
    for extent in data:
        holes.append(Extent(position, extent.offset - position))
        position = extent.offset + extent.size
    holes.append(Extent(position, size - position))
    return [hole for hole in holes if hole.size >= MIN_HOLE_LENGTH]


def _longest(holes: List[Extent]) -> List[Extent]:
    shortest = MIN_HOLE_LENGTH
    while len(holes) > MAX_HOLES:
        shortest *= 2
        holes = [hole for hole in holes if hole.size >= shortest]
    return holes


def _protected(core: CoreFile) -> List[Tuple[int, int]]:
    """The address ranges of mapped files, rounded to pages."""
    ranges = [(m.start, m.end) for m in core.mappings] + [(m.start, m.end) for m in core.modules]
    return [(start & -PAGE, -(-end & -PAGE)) for start, end in ranges]
