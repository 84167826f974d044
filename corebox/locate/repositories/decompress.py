"""Compressed indexes in pieces, and their lines; what they hold is bounded."""

import bz2
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from corebox.errors import InputError
from corebox.files import zstd

#: The largest index of a real repository, Debian's Contents-all, has half a GB.
MAX_SIZE = 4 << 30
_PIECE = 1 << 18
_MAX_LINE_LENGTH = 1 << 20
_MEMORY = 256 << 20  # of xz -9, whose dictionaries have 64 MiB
_GZIP, _XZ, _BZIP2, _ZSTD = b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh", b"\x28\xb5\x2f\xfd"


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def pieces(path: Path) -> Iterator[bytes]:
    """What the file holds, decompressed if it is compressed.

    Raises:
        InputError: ``bad-repository``.
    """
    left = MAX_SIZE
    try:
        with path.open("rb") as file:
            for piece in _pieces(file):
                left -= len(piece)
                if left < 0:
                    raise bad_repository(f"an index is larger than {MAX_SIZE} bytes when decompressed")
                yield piece
    except (zlib.error, lzma.LZMAError, EOFError, ValueError, OSError) as error:
        raise bad_repository(f"an index cannot be decompressed: {error}") from error


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(_ZSTD):
        library = zstd.load_library()
        if library is None:
            raise bad_repository("an index is compressed by zstd, and this machine lacks libzstd")
        yield from zstd.decompressed(library, file)
    elif magic.startswith((_GZIP, _XZ, _BZIP2)):
        yield from _members(file, magic)
    else:
        yield from iter(lambda: file.read(_PIECE), b"")


def _members(file: BinaryIO, magic: bytes) -> Iterator[bytes]:
    decompressor = _new(magic)
    begun = False
    for data in iter(lambda: file.read(_PIECE), b""):
        rest = data
        while rest or not decompressor.needs_input:
            begun = True
            yield decompressor.decompress(rest, 4 * _PIECE)
            rest = b""
            if decompressor.eof:
                rest, begun, decompressor = decompressor.unused_data, False, _new(magic)
    if begun:
        raise EOFError("it ends early")


class _Gzip:
    """zlib's decompressor with the names of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._kept = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._inner.decompress(self._kept + data, max_length)
        self._kept = self._inner.unconsumed_tail
        self.needs_input = len(piece) < max_length and not self._kept
        return piece


def _new(magic: bytes) -> _Decompressor:
    if magic.startswith(_GZIP):
        return _Gzip()
    return bz2.BZ2Decompressor() if magic.startswith(_BZIP2) else lzma.LZMADecompressor(memlimit=_MEMORY)


def blocks_of_lines(path: Path) -> Iterator[bytes]:
    """The file in pieces that end with a line, the last one perhaps without a newline.

    Raises:
        InputError: ``bad-repository``.
    """
    kept = b""
    for piece in pieces(path):
        head, newline, tail = piece.rpartition(b"\n")
        if newline:
            yield kept + head + newline
            kept = tail
        else:
            kept += tail
        if len(kept) > _MAX_LINE_LENGTH:
            raise bad_repository(f"a line of an index is longer than {_MAX_LINE_LENGTH} bytes")
    if kept:
        yield kept


def bad_repository(why: str) -> InputError:
    """The error for what is no index of packages, or a wrong one."""
    hint = "check the URL; to go on without this place, leave it out, or download packages and give their folder"
    return InputError("bad-repository", f"not a usable repository: {why}", hint)
