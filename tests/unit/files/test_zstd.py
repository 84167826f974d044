"""Frames of zstd: cut where we say, found again without decompressing, read one after the other."""

import io
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corebox.bundle.read import is_bundle, read_manifest
from corebox.errors import InputError
from corebox.files import zstd

LIBRARY = zstd.load_library()
assert LIBRARY is not None
PARTS = [b"one" * 1000, os.urandom(300000), bytes(3 << 20), b"x"]


def compress(parts: list[bytes]) -> bytes:
    assert LIBRARY
    out = io.BytesIO()
    writer = zstd.ZstdWriter(LIBRARY, out, 2)
    for part in parts[:-1]:
        writer.write(part)
        writer.cut()
    writer.write(parts[-1])
    writer.close()
    return out.getvalue()


def decompress(data: bytes) -> bytes:
    assert LIBRARY
    return b"".join(zstd.decompressed(LIBRARY, io.BytesIO(data)))


def ends(path: Path) -> list[int]:
    found, offset = [], 0
    with path.open("rb") as file:
        while offset < path.stat().st_size:
            offset = zstd.frame_end(file.fileno(), offset)
            found.append(offset)
    return found


def test_each_part_is_a_frame_that_others_read(tmp_path: Path) -> None:
    path = tmp_path / "x.zst"
    path.write_bytes(compress(PARTS))
    assert decompress(path.read_bytes()) == b"".join(PARTS)
    begin = 0
    for part, end in zip(PARTS, ends(path), strict=True):
        frame = path.read_bytes()[begin:end]
        assert subprocess.run(["zstd", "-dc"], input=frame, check=True, capture_output=True).stdout == part
        begin = end


def test_the_end_behind_very_many_blocks_is_not_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.zst"
    path.write_bytes(zstd.MAGIC + bytes(2) + bytes(3) * zstd.MAX_BLOCKS + b"\1\0\0")
    with pytest.raises(ValueError, match="too many blocks"):
        ends(path)


def test_a_frame_that_wants_much_memory_is_refused() -> None:
    packed = {window: _packed_with(window) for window in (24, 25)}
    assert decompress(packed[24]) == bytes(32 << 20)
    with pytest.raises(InputError, match="a zstd window of more than 16 MiB"):
        decompress(packed[25])


def _packed_with(window: int) -> bytes:
    command = ["zstd", "-c1", f"--zstd=wlog={window}"]
    return subprocess.run(command, input=bytes(32 << 20), check=True, capture_output=True).stdout


@pytest.mark.parametrize("options", [[], ["--no-check"], ["-19"], ["--single-thread"], ["--stream-size=3000"]])
def test_ends_of_frames_of_the_program_are_found(tmp_path: Path, options: list[str]) -> None:
    frames = [
        subprocess.run(["zstd", "-c", *options], input=part[:3000], check=True, capture_output=True).stdout
        for part in PARTS[:3]
    ]
    path = tmp_path / "x.zst"
    path.write_bytes(b"".join(frames))
    assert ends(path) == [sum(map(len, frames[: count + 1])) for count in range(len(frames))]


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x" * 20, lambda data: data[5:]])
def test_what_is_not_whole_frames_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(ValueError, match=r"zstd says|ends early"):
        decompress(change(compress(PARTS)))


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(0, 60))
def test_no_bytes_lead_the_search_astray(data: bytes, offset: int) -> None:
    descriptor = os.memfd_create("frame")
    try:
        os.write(descriptor, zstd.MAGIC + data)
        end = zstd.frame_end(descriptor, offset)
        assert end > offset
    except ValueError:
        pass
    finally:
        os.close(descriptor)


def test_a_bundle_that_somebody_compressed_too_hard_is_told_from_a_core(tmp_path: Path) -> None:
    path = tmp_path / "x.corebox"
    path.write_bytes(_packed_with(27))
    assert is_bundle(path)
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    assert caught.value.code == "window-too-large"
