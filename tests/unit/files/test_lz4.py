"""lz4 frames by the library that the system has, as systemd-coredump wrote them."""

import ctypes
import io
import random

import pytest

from corebox.errors import CoreboxError, HostError, InputError
from corebox.files import lz4

CONTENT = random.Random(4).randbytes(1_500_000) + bytes(3_000_000) + b"end"


@pytest.fixture(scope="module")
def frame() -> bytes:
    """CONTENT as one frame, by the same library (libarchive needs it, so each machine with the one has the other)."""
    try:
        library = ctypes.CDLL("liblz4.so.1")
    except OSError:
        pytest.skip("this machine has no liblz4.so.1")
    library.LZ4F_compressFrameBound.restype = library.LZ4F_compressFrame.restype = ctypes.c_size_t
    library.LZ4F_compressFrameBound.argtypes = [ctypes.c_size_t, ctypes.c_void_p]
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.LZ4F_compressFrame.argtypes = [pointer, size, ctypes.c_char_p, size, pointer]
    space = ctypes.create_string_buffer(library.LZ4F_compressFrameBound(len(CONTENT), None))
    written = library.LZ4F_compressFrame(space, len(space), CONTENT, len(CONTENT), None)
    return space.raw[:written]


def test_content_comes_back_in_pieces(frame: bytes) -> None:
    pieces = list(lz4.decompressed(io.BytesIO(frame)))
    assert b"".join(pieces) == CONTENT
    assert max(map(len, pieces)) <= 1 << 20
    assert len(frame) < 2_000_000


def test_frames_may_follow_each_other(frame: bytes) -> None:
    assert b"".join(lz4.decompressed(io.BytesIO(frame + frame))) == CONTENT * 2


def test_what_is_cut_gives_what_there_is(frame: bytes) -> None:
    found = b"".join(lz4.decompressed(io.BytesIO(frame[:1_000_000])))
    assert CONTENT.startswith(found)
    assert len(found) > 900_000


@pytest.mark.parametrize("at", [0, 4, 6])
def test_what_is_damaged_is_told(frame: bytes, at: int) -> None:
    damaged = bytearray(frame)
    damaged[at] ^= 0xFF
    with pytest.raises(InputError, match="the lz4-compressed core is damaged") as caught:
        list(lz4.decompressed(io.BytesIO(damaged)))
    assert caught.value.code == "core-damaged"


def test_without_the_library_there_is_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(CoreboxError, match=r"no liblz4\.so\.1") as caught:
        list(lz4.decompressed(io.BytesIO(b"x")))
    assert isinstance(caught.value, HostError)
    assert caught.value.hint == "decompress the core first: lz4 -d"
