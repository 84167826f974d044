"""The outside of a bundle: zstd where the host has libzstd, else gzip on all threads."""

import zlib
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, Deque, Iterator, Union

from corebox.bundle.faults import damaged
from corebox.coredump.header import MAGIC
from corebox.errors import HostError, InputError
from corebox.files import zstd
from corebox.files.gunzip import WRAPPED, gunzip
from corebox.files.magic import GZIP, ZSTD

if TYPE_CHECKING:
    from concurrent.futures import Future

_LEVEL = 1
#: Of what is small: some tenths of a second for an eighth less to send.
THOROUGH = 9
_MAX_GZIP_LEVEL = 9
_CHUNK = 1 << 20
_READ = 1 << 16


class GzipWriter:
    """Compresses each MiB into a gzip member of its own, on ``jobs`` threads (zlib releases the interpreter's lock)."""

    def __init__(self, out: BinaryIO, jobs: int, level: int = _LEVEL) -> None:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # logging comes with it, and few need it

        self._out = out
        self._level = min(level, _MAX_GZIP_LEVEL)
        self._pool = ThreadPoolExecutor(jobs)
        self._waiting: "Deque[Future[bytes]]" = deque()
        self._most_waiting = 2 * jobs
        self._block = bytearray()

    def write(self, data: Union[bytes, memoryview]) -> None:
        """Compress ``data``, of which nothing is kept."""
        self._block += data
        if len(self._block) >= _CHUNK:
            self._submit()

    def cut(self) -> None:
        """End the member: what follows is in another."""
        self._submit()

    def close(self) -> None:
        """Write what is left; ``out`` stays open."""
        self.cut()
        while self._waiting:
            self._out.write(self._waiting.popleft().result())
        self._pool.shutdown()

    def abandon(self) -> None:
        """Stop without finishing the stream."""
        self._waiting.clear()
        self._pool.shutdown()

    def _submit(self) -> None:
        while len(self._waiting) >= self._most_waiting:
            self._out.write(self._waiting.popleft().result())
        self._waiting.append(self._pool.submit(_gzip_member, bytes(self._block), self._level))
        self._block = bytearray()


def _gzip_member(data: bytes, level: int) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, WRAPPED)  # writes no time and no name
    return compressor.compress(data) + compressor.flush()


Writer = Union[zstd.ZstdWriter, GzipWriter]


def open_writer(out: BinaryIO, jobs: int, level: int = _LEVEL) -> Writer:
    """A compressor onto ``out``: zstd, or gzip where the host has no libzstd."""
    library = zstd.load_library()
    return zstd.ZstdWriter(library, out, jobs, level) if library else GzipWriter(out, jobs, level)


def is_compressed(magic: bytes) -> bool:
    """Whether a file that begins with these four bytes may be a bundle."""
    return magic == ZSTD or magic[:2] == GZIP


def decompressed(source: BinaryIO) -> Iterator[bytes]:
    """The tar archive in ``source``, in pieces of at most 1 MiB, whatever the file claims its size to be.

    Raises:
        InputError: ``not-a-bundle`` for another kind of file, ``bundle-damaged`` for a damaged or truncated one.
        HostError: ``no-libzstd`` when the bundle needs a library that the host lacks.
    """
    magic = source.read(4)
    source.seek(0)
    if magic[:2] == GZIP:
        return _checked(gunzip(iter(lambda: source.read(_READ), b"")))
    if magic == MAGIC:
        raise InputError(
            "not-a-bundle",
            "{} is not a bundle: it is an ELF file, such as a core or a program".format(source.name),
            "if it is a core, gather where it crashed: corebox gather CORE; or request its files: corebox request CORE",
        )
    if magic != ZSTD:
        raise InputError(
            "not-a-bundle",
            "{} is not a bundle: it is neither zstd nor gzip".format(source.name),
            "give the .corebox file that `corebox gather` wrote",
        )
    library = zstd.load_library()
    if library is None:
        raise HostError("no-libzstd", "this machine has no libzstd 1.4 or later", "apt-get install libzstd1")
    return _checked(zstd.decompressed(library, source))


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
