"""The digest of a core's pages depends on its content alone, not on where its holes are."""

import hashlib
import itertools

from hypothesis import given
from hypothesis import strategies as st

from corebox.bundle.digests import PAGE, PagesDigest, format_sums
from corebox.coredump import SHORTEST_HOLE


def by_the_book(data: bytes) -> str:
    """The specification, word by word."""
    digest = hashlib.sha256()
    run: int | None = None
    for at in range(0, len(data) + PAGE, PAGE):
        if data[at : at + PAGE].strip(b"\0"):
            run = at if run is None else run
        elif run is not None:
            end = min(at, len(data))
            digest.update(data[run:end] + run.to_bytes(8, "big") + (end - run).to_bytes(8, "big"))
            run = None
    digest.update(len(data).to_bytes(8, "big"))
    return digest.hexdigest()


def holes_by_the_book(data: bytes) -> list[tuple[int, int]]:
    """Runs of pages of zeros, as long as a compact core leaves out."""
    zero = [not data[at : at + PAGE].strip(b"\0") for at in range(0, len(data), PAGE)]
    holes, begin = [], 0
    for page, group in itertools.groupby(zero):
        end = begin + len(list(group)) * PAGE
        if page and min(end, len(data)) - begin >= SHORTEST_HOLE:
            holes.append((begin, min(end, len(data)) - begin))
        begin = end
    return holes


pieces = st.tuples(st.integers(0, 90000), st.integers(1, 9000), st.sampled_from([b"\0", b"\1", b"\0\0\0\1"]))


@given(st.lists(pieces, max_size=8), st.integers(0, 5000), st.integers(1, 10000))
def test_any_extents_and_pieces_give_the_digest_of_the_content(
    parts: list[tuple[int, int, bytes]], tail: int, step: int
) -> None:
    content = bytearray()
    pages = PagesDigest()
    for hole, size, pattern in parts:
        content += bytes(hole)
        data = (pattern * size)[:size]
        for at in range(0, size, step):
            pages.update(len(content) + at, data[at : at + step])
        content += data
    content += bytes(tail)
    assert pages.hexdigest(len(content)) == by_the_book(bytes(content))
    assert list(zip(pages.holes[::2], pages.holes[1::2], strict=True)) == holes_by_the_book(bytes(content))


def test_names_are_escaped_as_coreutils_does() -> None:
    sums = format_sums([("rootfs/a\nb\\c", "11"), ("core", "22"), ("run.sh", "33")])
    assert sums == b"\\11  rootfs/a\\nb\\\\c\n# pages-sha256 22  core\n33  run.sh\n"
