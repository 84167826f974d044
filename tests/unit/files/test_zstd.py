"""Frames of zstd: each on its own, and read one after the other."""

import io
import os
from pathlib import Path

import pytest

from corebox.errors import InputError
from corebox.files import zstd
from corebox.unbundle.read import is_bundle, read_manifest

LIBRARY = zstd.load_library()
assert LIBRARY is not None
PARTS = [b"one" * 1000, os.urandom(300000), bytes(3 << 20), b"x"]


def compress(parts: list[bytes]) -> bytes:
    assert LIBRARY
    compressor = zstd.FrameCompressor(LIBRARY, max(map(len, parts)), 1)
    return b"".join(bytes(compressor(memoryview(bytearray(part)))) for part in parts)


def decompress(data: bytes) -> bytes:
    assert LIBRARY
    return b"".join(zstd.decompressed(LIBRARY, io.BytesIO(data)))


def test_each_part_is_a_frame_of_its_own() -> None:
    assert decompress(compress(PARTS)) == b"".join(PARTS)
    for part in PARTS:
        assert zstd.frame_content(compress([part]), len(part)) == part


def test_a_frame_that_wants_much_memory_is_refused() -> None:
    packed = {window: _packed_with(window) for window in (24, 25)}
    assert decompress(packed[24]) == bytes(32 << 20)
    with pytest.raises(InputError, match="a zstd window of more than 16 MiB"):
        decompress(packed[25])


def _packed_with(window: int) -> bytes:
    """32 MiB of zeros, as blocks of one repeated byte (RFC 8878, 3.1.1)."""
    size, count = 128 << 10, (32 << 20) // (128 << 10)
    blocks = [((size << 3) | (1 << 1) | (number == count - 1)).to_bytes(3, "little") + b"\0" for number in range(count)]
    return zstd.MAGIC + bytes([0, (window - 10) << 3]) + b"".join(blocks)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x" * 20, lambda data: data[5:]])
def test_what_is_not_whole_frames_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(ValueError, match=r"zstd says|ends early"):
        decompress(change(compress(PARTS)))


def test_a_bundle_that_somebody_compressed_too_hard_is_told_from_a_core(tmp_path: Path) -> None:
    path = tmp_path / "x.corebox"
    path.write_bytes(_packed_with(27))
    assert is_bundle(path)
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    assert caught.value.code == "window-too-large"
