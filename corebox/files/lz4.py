"""lz4 frames through the system's ``liblz4.so.1``, which systemd-coredump used before zstd."""

import ctypes
from typing import BinaryIO, Iterator

from corebox.errors import HostError, InputError

_VERSION = 100  # LZ4F_VERSION
_CHUNK = 1 << 20


def decompressed(source: BinaryIO) -> Iterator[bytes]:
    """The content of the lz4 frames in ``source``, up to the place where it is cut or damaged.

    Raises:
        HostError: ``no-liblz4``.
        InputError: ``core-damaged`` when the library refuses the data.
    """
    library = _load()
    context = ctypes.c_void_p()
    library.LZ4F_createDecompressionContext(ctypes.byref(context), _VERSION)
    try:
        yield from _decompress(library, context, source)
    finally:
        library.LZ4F_freeDecompressionContext(context)


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("liblz4.so.1")
    except OSError as error:
        raise HostError("no-liblz4", "this machine has no liblz4.so.1", "decompress the core first: lz4 -d") from error
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for function, result, arguments in (
        ("LZ4F_createDecompressionContext", size, [ctypes.POINTER(pointer), ctypes.c_uint]),
        ("LZ4F_freeDecompressionContext", size, [pointer]),
        ("LZ4F_decompress", size, [pointer, pointer, ctypes.POINTER(size), pointer, ctypes.POINTER(size), pointer]),
        ("LZ4F_isError", ctypes.c_uint, [size]),
    ):
        symbol = getattr(library, function)
        symbol.restype, symbol.argtypes = result, arguments
    return library


def _decompress(library: ctypes.CDLL, context: ctypes.c_void_p, source: BinaryIO) -> Iterator[bytes]:
    space = ctypes.create_string_buffer(_CHUNK)
    for data in iter(lambda: source.read(_CHUNK), b""):
        address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
        at, full = 0, False
        while at < len(data) or full:
            produced, consumed = ctypes.c_size_t(_CHUNK), ctypes.c_size_t(len(data) - at)
            left = library.LZ4F_decompress(context, space, produced, address + at, consumed, None)
            if library.LZ4F_isError(left):
                raise InputError("core-damaged", "the lz4-compressed core is damaged", "copy it from the site again")
            at += consumed.value
            full = produced.value == _CHUNK
            if produced.value:
                yield ctypes.string_at(space, produced.value)
