"""A core in blocks: out of frames and out of a layer, each block as it was gathered or an error."""

import errno
import gc
import hashlib
import io
import os
import random
import tarfile
import threading
import time
import weakref
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.bundle.blocks import BLOCK_SIZE, BlockDigests, parse_digests
from corebox.errors import InputError
from corebox.files.extents import Extent
from corebox.files.gunzip import WRAPPED
from corebox.files.seekable import GZIP, TableWriter
from corebox.ondemand.cache import BlockCache, Interrupted
from corebox.ondemand.framed import open_framed
from corebox.ondemand.layer import PlainCore
from corebox.ondemand.source import BlockError
from corebox.ondemand.wanted import WantedCore, core_in_layer

HEAD = 700
CORE = random.Random(1).randbytes(3 * BLOCK_SIZE + 1234)


def digests_of(core: bytes) -> bytes:
    """Their core.digests."""
    blocks = (core[at : at + BLOCK_SIZE] for at in range(0, len(core), BLOCK_SIZE))
    return b"".join(hashlib.sha256(block).hexdigest().encode() + b"\n" for block in blocks)


def framed(content: bytes, cuts: list[int]) -> bytes:
    """The content as gzip members that begin at these offsets, and their table."""
    out, table = b"", TableWriter(GZIP)
    for begin, end in zip(cuts, [*cuts[1:], len(content)], strict=True):
        compressor = zlib.compressobj(1, zlib.DEFLATED, WRAPPED)
        member = compressor.compress(content[begin:end]) + compressor.flush()
        out += member
        table.add(end - begin, len(member))
    return out + table.to_bytes()


class Stored(io.BytesIO):
    """An open file."""

    name = "stored"

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.getbuffer())

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes at the offset."""
        return self.getvalue()[offset : offset + size]


def wanted(folder: Path, place: Extent | None = None) -> WantedCore:
    """The core behind HEAD bytes of something else."""
    path = folder / "core.digests"
    path.write_bytes(digests_of(CORE))
    return WantedCore(place or Extent(HEAD, len(CORE)), path)


@pytest.mark.parametrize(
    "cuts", [[0, HEAD, HEAD + BLOCK_SIZE, HEAD + 2 * BLOCK_SIZE, HEAD + 3 * BLOCK_SIZE], [0, 5, 2_000_000, 2_000_001]]
)
def test_a_block_comes_out_of_the_frames_that_hold_it(tmp_path: Path, cuts: list[int]) -> None:
    source = open_framed(Stored(framed(bytes(HEAD) + CORE + b"tail", cuts)), wanted(tmp_path))
    assert b"".join(source.read_block(index) for index in range(4)) == CORE


def test_a_block_comes_out_of_a_file_that_is_not_compressed(tmp_path: Path) -> None:
    source = PlainCore(Stored(bytes(HEAD) + CORE), wanted(tmp_path))
    assert b"".join(source.read_block(index) for index in range(4)) == CORE


def test_each_damaged_block_is_an_error_and_the_others_are_right(tmp_path: Path) -> None:
    """Sixty files with damage of some kind at some place: each block is right or an error."""
    content = bytes(HEAD) + CORE + b"tail"
    good = framed(content, [0, *range(HEAD, len(content), BLOCK_SIZE)])
    chance = random.Random(7)
    errors = 0
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(chance.choice((1, 1, 64))):
            bad[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        try:
            source = open_framed(Stored(bytes(bad)), wanted(tmp_path))
        except BlockError:
            errors += 1
            continue
        for index in range(4):
            try:
                assert source.read_block(index) == CORE[index * BLOCK_SIZE : (index + 1) * BLOCK_SIZE]
            except BlockError:  # noqa: PERF203 - one block each
                errors += 1
    assert errors > 45


def test_a_file_without_a_table_or_of_another_core_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BlockError, match="no table of its frames"):
        open_framed(Stored(zlib.compress(CORE)), wanted(tmp_path))
    short = framed(bytes(HEAD) + CORE[:-1], [0, HEAD, HEAD + BLOCK_SIZE, HEAD + 2 * BLOCK_SIZE, HEAD + 3 * BLOCK_SIZE])
    with pytest.raises(BlockError, match="not of this core"):
        open_framed(Stored(short), wanted(tmp_path))
    with pytest.raises(InputError, match=r"core\.digests is not of this core"):
        open_framed(Stored(short), wanted(tmp_path, Extent(0, 12)))


def test_a_layer_tells_where_its_core_is() -> None:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, size in ((".corebox", None), (".corebox/core", len(CORE))):
            member = tarfile.TarInfo(name)
            member.type, member.size = (tarfile.DIRTYPE, 0) if size is None else (tarfile.REGTYPE, size)
            archive.addfile(member, io.BytesIO(CORE))
    assert core_in_layer(layer.getvalue()[:4096]) == Extent(1024, len(CORE))
    for other in (b"", b"no tar", bytes(10240), CORE[:4096]):
        with pytest.raises(BlockError):
            core_in_layer(other)


class Blocks:
    """A source that does as it is told for each block."""

    size, at_once, ahead = len(CORE), 4, 2

    def __init__(self, act: Callable[[int], bytes]) -> None:
        self._act = act
        self.asked: list[int] = []

    def read_block(self, index: int) -> bytes:
        """What it was told."""
        self.asked.append(index)
        return self._act(index)


def block(index: int) -> bytes:
    """Of CORE."""
    return CORE[index * BLOCK_SIZE : (index + 1) * BLOCK_SIZE]


def test_the_cache_is_the_file_that_the_blocks_make_up() -> None:
    cache = BlockCache(Blocks(block), lambda _: None)
    for offset, size in ((0, 10), (BLOCK_SIZE - 3, 7), (5, 3 * BLOCK_SIZE), (len(CORE) - 4, 100), (len(CORE) + 1, 5)):
        assert cache.read(offset, size) == CORE[offset : offset + size]


def test_a_block_is_read_once_however_many_ask() -> None:
    def slowly(index: int) -> bytes:
        time.sleep(0.05)
        return block(index)

    source = Blocks(slowly)
    cache = BlockCache(source, lambda _: None)
    readers = [threading.Thread(target=cache.read, args=(BLOCK_SIZE * 2 + each, 1)) for each in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert source.asked == [2]


def test_who_reads_on_finds_what_follows_read_already() -> None:
    source = Blocks(block)
    cache = BlockCache(source, lambda _: None)
    cache.read(0, 1)
    assert source.asked == [0]
    cache.read(BLOCK_SIZE, 1)
    deadline = time.monotonic() + 10
    while 3 not in source.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(source.asked) == [0, 1, 2, 3]


def test_a_block_that_cannot_be_had_is_told_once_and_the_others_are_read() -> None:
    def act(index: int) -> bytes:
        if index == 1:
            raise BlockError("it is wrong", lasting=True)
        return block(index)

    said: list[str] = []
    cache = BlockCache(Blocks(act), said.append)
    for _ in range(3):
        with pytest.raises(BlockError):
            cache.read(BLOCK_SIZE, 1)
    with pytest.raises(BlockError):
        cache.read(BLOCK_SIZE - 1, 2)
    assert cache.read(0, 10) == CORE[:10]
    assert said == [f"bytes {BLOCK_SIZE} to {2 * BLOCK_SIZE - 1} of the core cannot be read: it is wrong"]


def test_errors_keep_nothing_of_what_was_read() -> None:
    read: list[weakref.ref[Stored]] = []

    def act(index: int) -> bytes:
        held = Stored(bytes(index))
        read.append(weakref.ref(held))
        raise BlockError("it is wrong", lasting=True)

    cache = BlockCache(Blocks(act), lambda _: None)
    for index in (0, 2, 0):
        with pytest.raises(BlockError):
            cache.read(index * BLOCK_SIZE, 1)
    gc.collect()
    assert [each() for each in read] == [None, None]


def test_a_disk_that_fails_is_told_as_any_block_that_cannot_be_had() -> None:
    def act(index: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(index))

    said: list[str] = []
    with pytest.raises(BlockError, match="Input/output error"):
        BlockCache(Blocks(act), said.append).read(0, 1)
    assert said == [f"bytes 0 to {BLOCK_SIZE - 1} of the core cannot be read: Input/output error"]


def test_what_took_long_to_fail_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a registry that is gone: else each look of a debugger's at that block would wait as long."""
    now, reads = [0.0], [0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def act(index: int) -> bytes:
        reads[0] += 1
        now[0] += 45
        raise BlockError("cannot reach it", lasting=False)

    cache = BlockCache(Blocks(act), lambda _: None)
    for after, expected in ((0, 1), (4, 1), (2, 2)):
        now[0] += after
        with pytest.raises(BlockError):
            cache.read(0, 1)
        assert reads[0] == expected


def test_nobody_waits_longer_than_the_limit_and_who_gives_up_not_even_that() -> None:
    go = threading.Event()
    said: list[str] = []
    cache = BlockCache(Blocks(lambda index: b"" if go.wait(60) else block(index)), said.append, 0.3)
    try:
        with pytest.raises(BlockError, match="did not come"):
            cache.read(0, 1)
        with pytest.raises(Interrupted):
            cache.read(BLOCK_SIZE, 1, lambda: True)
        with pytest.raises(Interrupted):  # as gdb reads again what Ctrl-C has ended; at the limit it is an error
            cache.read(2 * BLOCK_SIZE, 1)
        assert len(said) == 1
    finally:
        go.set()


def test_digests_are_of_all_blocks() -> None:
    digests = parse_digests(digests_of(CORE), len(CORE))
    assert isinstance(digests, BlockDigests)
    assert digests.is_right(3, block(3))
    assert not digests.is_right(3, block(3) + os.urandom(1))
