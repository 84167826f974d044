"""zstd through the system's ``libzstd.so.1``: on nearly every host since 2018, while the ``zstd`` program often is not.

Only the stable part of the library's interface is used (``zstd.h``, version 1.4.0 and later).
"""

import ctypes
import functools
from typing import BinaryIO, Iterator, Optional, Union

from corebox.errors import HostError, InputError
from corebox.files.magic import ZSTD

MAGIC = ZSTD

_LEVEL_PARAMETER = 100  # ZSTD_c_compressionLevel
_CHECKSUM_PARAMETER = 201  # ZSTD_c_checksumFlag
_WINDOW_PARAMETER = 100  # ZSTD_d_windowLogMax
_WINDOW_TOO_LARGE = 16  # ZSTD_error_frameParameter_windowTooLarge
_OLDEST = 10400  # ZSTD_versionNumber() of the first release with a stable ZSTD_compress2
_CHUNK = 1 << 20
#: Bytes that are kept for what follows to refer to, as a power of two, in untrusted data: four layers are
#: read at once. RFC 8878 (3.1.1.1.2) wants 8 MiB of everybody, ``zstd -19`` uses as much.
UNTRUSTED_WINDOW = 24


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer, which are laid out alike."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("position", ctypes.c_size_t)]


def address_of(data: Union[bytes, memoryview]) -> Optional[int]:
    """Where a library in C finds the data: bytes, or memory of ours that can be written."""
    if isinstance(data, bytes):
        return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


def load_library() -> Optional[ctypes.CDLL]:
    """The library with its functions typed, or None when the host has none that is new enough."""
    try:
        library = ctypes.CDLL("libzstd.so.1")
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
        ("ZSTD_compressBound", size, [size]),
        ("ZSTD_compress2", size, [pointer, pointer, size, pointer, size]),
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


class FrameCompressor:
    """Compresses up to ``size`` bytes at a time into a frame of their own; one for each thread."""

    def __init__(self, library: ctypes.CDLL, size: int, level: int) -> None:
        self._library = library
        self._context = library.ZSTD_createCCtx()
        for parameter, value in ((_LEVEL_PARAMETER, level), (_CHECKSUM_PARAMETER, 1)):
            library.ZSTD_CCtx_setParameter(self._context, parameter, value)
        self._space = ctypes.create_string_buffer(library.ZSTD_compressBound(size))

    def __call__(self, data: memoryview) -> memoryview:
        """The frame, valid until the next call."""
        library, space = self._library, self._space
        count = library.ZSTD_compress2(self._context, space, len(space), address_of(data), len(data))
        if library.ZSTD_isError(count):
            raise MemoryError("libzstd: " + library.ZSTD_getErrorName(count).decode("ascii"))
        return memoryview(space)[:count]

    def __del__(self) -> None:
        self._library.ZSTD_freeCCtx(self._context)


def decompressed(library: ctypes.CDLL, source: BinaryIO, window: int = UNTRUSTED_WINDOW) -> Iterator[bytes]:
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
        "{} is compressed with a zstd window of more than {} MiB".format(name, 1 << UNTRUSTED_WINDOW - 20),
        "if it is a bundle, compress it again: zstd -dc FILE | zstd -19 -o NEW.corebox; if it is a core: zstd -d FILE",
    )
