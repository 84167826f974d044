"""The outside of a bundle: zstd or gzip, in frames that are read by all processors, or as others compressed it."""

import os
from collections.abc import Iterator
from typing import BinaryIO

from corebox.bundle import members
from corebox.bundle.faults import damaged
from corebox.bundle.tarformat import BLOCK
from corebox.coredump.header import MAGIC
from corebox.errors import InputError
from corebox.files import zstd
from corebox.files.extents import reader_at
from corebox.files.frames import frame_contents
from corebox.files.gunzip import gunzip
from corebox.files.magic import GZIP, ZSTD
from corebox.files.seekable import FrameTable, read_table

_READ = 1 << 16


def is_compressed(magic: bytes) -> bool:
    """Whether a file that begins with these four bytes may be a bundle."""
    return magic == ZSTD or magic[:2] == GZIP


def decompressed(source: BinaryIO) -> Iterator[bytes]:
    """The tar archive in ``source``, in pieces of at most 4 MiB, whatever the file claims its size to be.

    Raises:
        InputError: ``not-a-bundle`` for another kind of file, ``bundle-damaged`` for a damaged or truncated one.
        HostError: ``no-libzstd`` when the bundle needs a library that the host lacks.
    """
    magic = source.read(4)
    source.seek(0)
    table = table_of(source) if is_compressed(magic) else None
    if table:
        return _checked(frame_contents(reader_at(source)[0], table, len(os.sched_getaffinity(0))))
    if magic[:2] == GZIP:
        return _checked(gunzip(iter(lambda: source.read(_READ), b"")))
    if magic == MAGIC:
        raise InputError(
            "not-a-bundle",
            f"{source.name} is not a bundle: it is an ELF file, such as a core or a program",
            "if it is a core, gather where it crashed: corebox gather CORE; or request its files: corebox request CORE",
        )
    if magic != ZSTD:
        raise InputError(
            "not-a-bundle",
            f"{source.name} is not a bundle: it is neither zstd nor gzip",
            "give the .corebox file that `corebox gather` wrote",
        )
    return _checked(zstd.decompressed(zstd.require_library(), source))


def table_of(file: BinaryIO) -> FrameTable | None:
    """The table of frames at the end of an open file, None if it has none."""
    return read_table(*reader_at(file))


def _checked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except ValueError as error:
        raise damaged(str(error)) from error


class Stream:
    """Exact reads from pieces of bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._at = 0

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next ``size`` bytes, as they come.

        Raises:
            InputError: ``bundle-damaged`` when the archive ends before.
        """
        while size:
            if self._at == len(self._piece):
                self._piece, self._at = next(self._pieces, b""), 0
                if not self._piece:
                    raise damaged("it ends early")
            piece = self._piece[self._at : self._at + size] if self._at or size < len(self._piece) else self._piece
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, which are few."""
        return b"".join(self.pieces(size))

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._piece) and not next(self._pieces, b"")


def begins_bundle(file: BinaryIO) -> bool:
    """Whether an open file begins as a bundle does.

    Raises:
        InputError: ``bundle-damaged``, ``window-too-large``.
    """
    file.seek(0)
    if not is_compressed(file.read(4)):
        return False
    file.seek(0)
    return members.begins_bundle(Stream(decompressed(file)).read(BLOCK))
