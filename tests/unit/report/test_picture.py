"""The pictures of the memory: numbers for the page's template."""

import pytest

from corebox.bundle.manifest import MemoryEntry
from corebox.coredump.values import Segment
from corebox.files.extents import Extent
from corebox.report.picture import GAP, MAX_ISLANDS, MAX_REGIONS, WIDTH, draw
from corebox.report.regions import Region, stored_runs

PAGE = 4096


def region(start: int, size: int, kind: str = "anonymous", path: str = "", dumped: bool = True) -> Region:
    return Region(start, start + size, kind, path, dumped, ((start, start + size),) if dumped else ())


def test_memory_that_is_far_apart_is_drawn_apart() -> None:
    far = 0x7F0000000000
    picture = draw([region(far, PAGE), region(PAGE, PAGE, "heap"), region(3 * PAGE, PAGE)], ())
    assert [(island["start"], island["end"]) for island in picture.islands] == [(PAGE, 4 * PAGE), (far, far + PAGE)]
    first = picture.islands[0]
    assert [(bar["kind"], bar["x"], bar["width"]) for bar in first["bars"]] == [
        ("heap", 0, round(WIDTH / 3, 2)),
        ("anonymous", round(WIDTH * 2 / 3, 2), round(WIDTH / 3, 2)),
    ]


def test_what_is_mapped_stored_and_absent_is_told_apart() -> None:
    half = Region(0, 4 * PAGE, "heap", "", True, ((0, PAGE), (3 * PAGE, 4 * PAGE)))
    (island,) = draw([half, region(4 * PAGE, 4 * PAGE, "file", "/lib/libc.so.6", dumped=False)], ()).islands
    heap, file = island["bars"]
    assert heap["dumped"]
    assert [run["x"] for run in heap["stored"]] == [0, WIDTH * 3 / 8]
    assert (file["dumped"], file["stored"]) == (False, [])
    assert island["name"] == "heap, libc.so.6"
    assert (island["mapped"], island["stored"]) == ("32.8 kB", "8.2 kB")


def test_the_picture_is_bounded_however_many_mappings_there_are() -> None:
    islands = draw((region(index * 4 * GAP, PAGE) for index in range(10_000)), ()).islands
    assert len(islands) == MAX_ISLANDS
    assert sum(len(island["bars"]) for island in islands) == MAX_REGIONS


def test_the_smallest_is_seen_and_nothing_is_not() -> None:
    (kind, empty) = draw([], [MemoryEntry("file", 1 << 40, 1, None, 1), MemoryEntry("heap", 0, 0, 0, 0)]).kinds
    assert (kind["mapped_width"], kind["dumped_width"], kind["resident"]) == (WIDTH, 1.5, "cannot tell")
    assert (empty["mapped_width"], empty["dumped_width"]) == (0, 0)


def test_the_kernels_page_is_no_memory_of_the_process() -> None:
    assert draw([region(0xFFFFFFFFFF600000, PAGE)], ()).islands == ()


SEGMENTS = [Segment(1, 6, 4 * PAGE, 0x100000, 4 * PAGE, 4 * PAGE), Segment(1, 6, 8 * PAGE, 0x200000, 0, PAGE)]
RUNS = [
    ([Extent(0, 20 * PAGE)], ((0x100000, 0x104000),)),  # without holes, and more than the segment
    ([Extent(0, PAGE)], ()),  # headers only
    ([Extent(PAGE, 4 * PAGE), Extent(7 * PAGE, 2 * PAGE)], ((0x100000, 0x101000), (0x103000, 0x104000))),
]


@pytest.mark.parametrize(("extents", "first"), RUNS)
def test_the_runs_that_a_core_stores(extents: list[Extent], first: tuple[tuple[int, int], ...]) -> None:
    assert list(stored_runs(SEGMENTS, iter(extents))) == [first, ()]


def test_one_extent_may_hold_several_segments() -> None:
    segments = [Segment(1, 6, index * PAGE, index << 20, PAGE, PAGE) for index in range(1, 4)]
    assert [runs for (runs,) in stored_runs(segments, iter([Extent(0, 9 * PAGE)]))] == [
        (index << 20, (index << 20) + PAGE) for index in range(1, 4)
    ]


def test_runs_too_near_to_be_drawn_apart_are_one() -> None:
    segment = Segment(1, 6, 0, 0x100000, 4000 * PAGE, 4000 * PAGE)
    extents = (Extent(index * 2 * PAGE, PAGE) for index in range(2000))
    assert list(stored_runs([segment], extents)) == [((0x100000, 0x100000 + 3999 * PAGE),)]
