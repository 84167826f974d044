"""Tables of frames: what is written is found again, the tools pass over it, and what cannot be true is not believed."""

import gzip
import io
import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corebox.files import seekable, zstd
from corebox.files.gunzip import gunzip
from corebox.files.seekable import GZIP, ZSTD, Frame, FrameTable, TableWriter, frame_content, read_table

PARTS = [b"head" * 1000, os.urandom(300000), bytes(1 << 20), b"x"]


def frame(compression: str, content: bytes) -> bytes:
    if compression == GZIP:
        return gzip.compress(content, 1)
    compress = zstd.FrameCompressor(zstd.require_library(), len(content), 1)
    return bytes(compress(memoryview(bytearray(content))))


def write(compression: str, parts: list[bytes]) -> bytes:
    table, frames = TableWriter(compression), [frame(compression, part) for part in parts]
    for part, stored in zip(parts, frames, strict=True):
        table.add(len(part), len(stored))
    return b"".join(frames) + table.to_bytes()


class Reads:
    """Bytes as a file, and how often it was read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.count = data, 0

    def __call__(self, offset: int, size: int) -> bytes:
        assert 0 <= offset <= offset + size <= len(self.data)
        self.count += 1
        return self.data[offset : offset + size]


def table_of(data: bytes) -> FrameTable | None:
    return read_table(Reads(data), len(data))


@pytest.mark.parametrize("compression", [ZSTD, GZIP])
def test_each_frame_is_found_and_read_alone(compression: str) -> None:
    data = write(compression, PARTS)
    read_at = Reads(data)
    table = read_table(read_at, len(data))
    assert table is not None
    assert (read_at.count, table.compression, len(table), table.size) == (1, compression, 4, sum(map(len, PARTS)))
    offset = 0
    for index, (part, entry) in enumerate(zip(PARTS, table, strict=True)):
        stored = data[entry.stored_offset : entry.stored_offset + entry.stored_size]
        assert frame_content(compression, stored, entry.size) == part
        assert entry[:2] == (offset, len(part))
        assert table.index_at(offset) == table.index_at(offset + len(part) - 1) == index
        offset += len(part)
    with pytest.raises(IndexError):
        table.index_at(offset)


def test_our_own_readers_pass_over_a_table() -> None:
    library = zstd.require_library()
    assert b"".join(zstd.decompressed(library, io.BytesIO(write(ZSTD, PARTS)))) == b"".join(PARTS)
    assert b"".join(gunzip(iter([write(GZIP, PARTS)]))) == b"".join(PARTS)


@pytest.mark.parametrize("compression", [ZSTD, GZIP])
@pytest.mark.parametrize("count", [1, 8190, 8191, 20000])
def test_a_long_table_takes_one_read_more(compression: str, count: int) -> None:
    writer = TableWriter(compression)
    for number in range(count):
        writer.add(1 + number % 7, 20)
    data = bytes(20 * count) + writer.to_bytes()
    read_at = Reads(data)
    table = read_table(read_at, len(data))
    assert table is not None
    assert read_at.count <= 2
    assert len(table) == count
    assert table[count - 1] == Frame(table.size - table[count - 1].size, 1 + (count - 1) % 7, 20 * count - 20, 20)
    assert b"".join(gunzip(iter([writer.to_bytes()]))) == b"" if compression == GZIP else True


def test_blocks_are_those_that_begin_and_end_where_they_should() -> None:
    writer = TableWriter(ZSTD)
    for size in (5, 10, 10, 3, 8):
        writer.add(size, 20)
    data = bytes(100) + writer.to_bytes()
    table = table_of(data)
    assert table is not None
    assert table.blocks(5, 23, 10) == range(1, 4)
    assert table.blocks(5, 20, 10) == range(1, 3)
    assert table.blocks(5, 0, 10) == range(0)
    for offset, size in ((5, 22), (4, 23), (5, 31), (0, 5), (5, 32), (-5, 10), (36, 5), (5, 10**30)):
        assert table.blocks(offset, size, 10) is None or (offset, size) == (0, 5)


@pytest.mark.parametrize("compression", [ZSTD, GZIP])
def test_no_table_where_it_cannot_be_true(compression: str) -> None:
    data = write(compression, PARTS)
    whole = table_of(data)
    assert whole is not None
    table = data[whole.stored_size :]
    for at in range(len(table)):
        spoiled = data[: whole.stored_size + at] + bytes([table[at] ^ 1]) + table[at + 1 :]
        found = table_of(spoiled)
        # Only the size of a content may be another: whoever decompresses the frame sees that.
        assert found is None or found.size != whole.size
    assert table_of(data[1:]) is None
    assert table_of(b"x" + data) is None
    assert table_of(data[:-1]) is None
    assert table_of(table) is None
    assert table_of(b"") is None


def test_sizes_that_would_cost_too_much_are_refused() -> None:
    for size, stored in ((seekable.MAX_FRAME_SIZE + 1, 20), (10, 5 << 20), (0, 20), (10, 0)):
        writer = TableWriter(ZSTD)
        writer.add(size, stored)
        assert table_of(bytes(stored) + writer.to_bytes()) is None
    footer = struct.pack("<IBI", seekable.MAX_FRAMES + 1, 0, 0x8F92EAB1)
    assert read_table(lambda _, size: footer.rjust(size, b"\0"), 1 << 50) is None


def test_a_frame_that_is_not_as_the_table_says() -> None:
    for compression in (ZSTD, GZIP):
        stored = frame(compression, b"content")
        for bad, size in ((stored, 6), (stored, 8), (stored[:-1], 7), (b"", 7), (stored + b"x", 7), (b"junk" * 9, 7)):
            with pytest.raises(ValueError, match=r"says|frame|size"):
                frame_content(compression, bad, size)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 1 << 40), st.sampled_from([ZSTD, GZIP]))
def test_any_end_of_a_file_is_a_table_or_none(end: bytes, size: int, compression: str) -> None:
    writer = TableWriter(compression)
    writer.add(7, 20)
    for data in (end, end + writer.to_bytes(), writer.to_bytes()[: len(end)] + end):

        def read_at(_: int, count: int, data: bytes = data) -> bytes:
            return data[-count:].rjust(count, b"\0") if count else b""

        read_table(read_at, max(size, len(data)))
