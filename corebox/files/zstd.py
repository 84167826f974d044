"""zstd through the system's ``libzstd.so.1``: on nearly every host since 2018, while the ``zstd`` program often is not.

Only the stable part of the library's interface is used (``zstd.h``, version 1.4.0 and later).
"""

import ctypes
import functools
import os
from typing import BinaryIO, Iterator, Optional, Union

from corebox.errors import HostError, InputError
from corebox.files.magic import ZSTD

MAGIC = ZSTD

_LEVEL_PARAMETER = 100  # ZSTD_c_compressionLevel
_CHECKSUM_PARAMETER = 201  # ZSTD_c_checksumFlag
_WORKERS_PARAMETER = 400  # ZSTD_c_nbWorkers
_WINDOW_PARAMETER = 100  # ZSTD_d_windowLogMax
_WINDOW_TOO_LARGE = 16  # ZSTD_error_frameParameter_windowTooLarge
_REPEATED = 1  # a block that is one byte again and again
_CONTINUE, _END = 0, 2  # ZSTD_EndDirective
_OLDEST = 10400  # ZSTD_versionNumber() of the first release with a stable ZSTD_compressStream2
_LEVEL = 1
_CHUNK = 1 << 20
#: Bytes that are kept for what follows to refer to, as a power of two, in what strangers compressed: four layers are
#: read at once. RFC 8878 (3.1.1.1.2) wants 8 MiB of everybody, ``zstd -19`` uses as much.
STRANGERS_WINDOW = 24
#: Of a frame whose end is looked for: 128 GiB in blocks of full length, but they may be empty.
MAX_BLOCKS = 1 << 20


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer, which are laid out alike."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("position", ctypes.c_size_t)]


def address_of(data: Union[bytes, memoryview]) -> Optional[int]:
    """Where a library in C finds the data: bytes, or memory of ours that can be written."""
    if isinstance(data, bytes):
        return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


def load_library(name: str = "libzstd.so.1") -> Optional[ctypes.CDLL]:
    """The library with its functions typed, or None when the host has none that is new enough."""
    try:
        library = ctypes.CDLL(name)
        version = library.ZSTD_versionNumber
    except (OSError, AttributeError):
        return None
    version.restype = ctypes.c_uint
    if version() < _OLDEST:
        return None
    buffer, pointer, size = ctypes.POINTER(_Buffer), ctypes.c_void_p, ctypes.c_size_t
    for function, result, arguments in (
        ("ZSTD_createCCtx", pointer, []),
        ("ZSTD_freeCCtx", size, [pointer]),
        ("ZSTD_CCtx_setParameter", size, [pointer, ctypes.c_int, ctypes.c_int]),
        ("ZSTD_compressStream2", size, [pointer, buffer, buffer, ctypes.c_int]),
        ("ZSTD_createDCtx", pointer, []),
        ("ZSTD_freeDCtx", size, [pointer]),
        ("ZSTD_decompress", size, [pointer, size, ctypes.c_char_p, size]),
        ("ZSTD_DCtx_setParameter", size, [pointer, ctypes.c_int, ctypes.c_int]),
        ("ZSTD_decompressStream", size, [pointer, buffer, buffer]),
        ("ZSTD_isError", ctypes.c_uint, [size]),
        ("ZSTD_getErrorName", ctypes.c_char_p, [size]),
        ("ZSTD_getErrorCode", ctypes.c_int, [size]),
    ):
        symbol = getattr(library, function)
        symbol.restype = result
        symbol.argtypes = arguments
    return library


@functools.lru_cache(None)
def require_library() -> ctypes.CDLL:
    """The library; raises HostError no-libzstd."""
    library = load_library()
    if library is None:
        raise HostError("no-libzstd", "this machine has no libzstd 1.4 or later", "apt-get install libzstd1")
    return library


def frame_content(stored: bytes, size: int) -> bytes:
    """The content of a frame, or of several, in at most ``size`` bytes.

    Raises:
        ValueError: it is more, or no frame.
        HostError: ``no-libzstd``.
    """
    library = require_library()
    space = ctypes.create_string_buffer(size)
    count = library.ZSTD_decompress(space, size, stored, len(stored))
    if library.ZSTD_isError(count):
        raise ValueError("zstd says: " + library.ZSTD_getErrorName(count).decode("ascii", "replace"))
    return ctypes.string_at(space, count)


class ZstdWriter:
    """Compresses what is written to it into ``out``, on ``jobs`` threads of the library."""

    def __init__(self, library: ctypes.CDLL, out: BinaryIO, jobs: int, level: int = _LEVEL) -> None:
        self._library = library
        self._out = out
        self._context = library.ZSTD_createCCtx()
        for parameter, value in ((_LEVEL_PARAMETER, level), (_CHECKSUM_PARAMETER, 1), (_WORKERS_PARAMETER, jobs)):
            # A library without threads refuses nbWorkers and compresses in this thread: slower, not wrong.
            library.ZSTD_CCtx_setParameter(self._context, parameter, value)
        self._space = ctypes.create_string_buffer(_CHUNK)

    def write(self, data: Union[bytes, memoryview]) -> None:
        """Compress ``data``, of which nothing is kept."""
        self._feed(data, _CONTINUE)

    def cut(self) -> None:
        """End the frame: what follows is in a frame of its own."""
        self._feed(b"", _END)

    def close(self) -> None:
        """Write what is left; ``out`` stays open."""
        self.cut()
        self.abandon()

    def abandon(self) -> None:
        """Free the library's memory without finishing the stream."""
        self._library.ZSTD_freeCCtx(self._context)
        self._context = None

    def _feed(self, data: Union[bytes, memoryview], directive: int) -> None:
        source = _Buffer(address_of(data), len(data), 0)
        while True:
            target = _Buffer(ctypes.addressof(self._space), _CHUNK, 0)
            left = self._library.ZSTD_compressStream2(
                self._context, ctypes.byref(target), ctypes.byref(source), directive
            )
            if self._library.ZSTD_isError(left):
                raise MemoryError("libzstd: " + self._library.ZSTD_getErrorName(left).decode("ascii"))
            self._out.write(memoryview(self._space)[: target.position])
            if source.position == source.size and (directive == _CONTINUE or left == 0):
                return


def decompressed(library: ctypes.CDLL, source: BinaryIO, window: int = STRANGERS_WINDOW) -> Iterator[bytes]:
    """The content of the zstd frames in ``source``, in pieces of at most 1 MiB; frames of longer windows are refused.

    Raises:
        InputError: ``window-too-large``.
        ValueError: the content is not whole frames.
    """
    context = library.ZSTD_createDCtx()
    library.ZSTD_DCtx_setParameter(context, _WINDOW_PARAMETER, window)
    try:
        yield from _decompress(library, context, source)
    finally:
        library.ZSTD_freeDCtx(context)


def _decompress(library: ctypes.CDLL, context: int, source: BinaryIO) -> Iterator[bytes]:
    space = ctypes.create_string_buffer(_CHUNK)
    left = 1
    while True:
        data = source.read(_CHUNK // 2)
        if not data:
            break
        chunk = _Buffer(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), 0)
        full = False
        while chunk.position < chunk.size or full:
            target = _Buffer(ctypes.addressof(space), _CHUNK, 0)
            left = library.ZSTD_decompressStream(context, ctypes.byref(target), ctypes.byref(chunk))
            if library.ZSTD_isError(left):
                if library.ZSTD_getErrorCode(left) == _WINDOW_TOO_LARGE:
                    raise _too_large(getattr(source, "name", "it"))
                raise ValueError("zstd says: " + library.ZSTD_getErrorName(left).decode("ascii", "replace"))
            if target.position:
                yield ctypes.string_at(space, target.position)
            full = bool(left) and target.position == _CHUNK
    if left:
        raise ValueError("it ends early")


def _too_large(name: str) -> InputError:
    return InputError(
        "window-too-large",
        "{} is compressed with a zstd window of more than {} MiB".format(name, 1 << STRANGERS_WINDOW - 20),
        "if it is a bundle, compress it anew: zstd -dc FILE | zstd -19 -o NEW.corebox; if it is a core: zstd -d FILE",
    )


def frame_end(descriptor: int, offset: int) -> int:
    """Where the frame that begins at ``offset`` of an open file ends (RFC 8878, section 3.1.1).

    Raises:
        ValueError: there is none, or it has more than ``MAX_BLOCKS``.
    """
    head = os.pread(descriptor, 5, offset)
    if head[:4] != MAGIC or len(head) < 5:
        raise ValueError("not a zstd frame")
    single, sizes = head[4] >> 5 & 1, head[4] >> 6
    offset += 6 - single + (0, 1, 2, 4)[head[4] & 3] + (single, 2, 4, 8)[sizes]
    for _ in range(MAX_BLOCKS):
        block = os.pread(descriptor, 3, offset)
        if len(block) < 3:
            raise ValueError("the frame is truncated")
        number = int.from_bytes(block, "little")
        offset += 3 + (1 if number >> 1 & 3 == _REPEATED else number >> 3)
        if number & 1:  # the last
            return offset + (4 if head[4] >> 2 & 1 else 0)
    raise ValueError("the frame has too many blocks")
