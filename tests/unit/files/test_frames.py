"""Files of frames: the same whoever compresses and however many threads, read back by all processors."""

import io
import itertools
import os
from functools import partial

import pytest

from corebox.files import zstd
from corebox.files.crew import Crew
from corebox.files.frames import FrameWriter, best_codec, frame_contents
from corebox.files.seekable import ReadAt, read_table

MIB = 1 << 20
BLOCKS = [os.urandom(MIB), bytes(MIB), os.urandom(1000) * 700]


@pytest.fixture(params=["zstd", "gzip"], autouse=True)
def compressor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the host's libzstd, or as on a host without."""
    if request.param == "gzip":
        monkeypatch.setattr(zstd, "load_library", lambda: None)
    return str(request.param)


def write(jobs: int) -> tuple[bytes, list[int]]:
    out = io.BytesIO()
    writer = FrameWriter(out, jobs, best_codec())
    for part in (b"head", b"", bytes(5 * MIB), b"end"):
        writer.write(part)
    for block in BLOCKS:
        space = writer.space(MIB)
        space[: len(block)] = block
        writer.put(len(block), len)
    writer.flush()
    looks = list(writer.looks)
    writer.write(b"tail")
    writer.close()
    return out.getvalue(), looks


def reader(data: bytes) -> ReadAt:
    return lambda offset, size: data[offset : offset + size]


def test_the_bytes_depend_on_the_content_alone(compressor: str) -> None:
    data, looks = write(1)
    assert looks == [len(block) for block in BLOCKS]
    assert [write(jobs) for jobs in (2, 7)] == [(data, looks)] * 2
    table = read_table(reader(data), len(data))
    assert table is not None
    assert table.compression == compressor
    assert [frame.size for frame in table] == [2 * MIB, 2 * MIB, MIB + 7, MIB, MIB, 700000, 4]
    for jobs in (1, 3):
        content = b"".join(frame_contents(reader(data), table, jobs))
        assert content == b"head" + bytes(5 * MIB) + b"end" + b"".join(BLOCKS) + b"tail"


def test_a_damaged_frame_is_an_error_where_it_is() -> None:
    data, _ = write(2)
    table = read_table(reader(data), len(data))
    assert table is not None
    place = table[3].stored_offset + table[3].stored_size // 2
    spoiled = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    contents = frame_contents(reader(spoiled), table, 2)
    assert sum(map(len, itertools.islice(contents, 3))) == table[3].offset
    with pytest.raises(ValueError, match=r"says|frame|size"):
        next(contents)


def test_results_come_in_order_and_errors_where_they_belong() -> None:
    def act(number: int) -> int:
        if number == 5:
            raise OSError(number)
        return number * number

    with Crew(act, 3) as crew:
        results = crew.each(range(100))
        assert list(itertools.islice(results, 5)) == [0, 1, 4, 9, 16]
        with pytest.raises(OSError, match="5"):
            next(results)
    with Crew(partial(pow, 2), 2) as crew:
        assert list(crew.each([])) == []
