"""Compressed cores (``.zst .lz4 .gz .xz``): decompressed into a sparse temporary file, which nobody else can read."""

import contextlib
import errno
import itertools
import os
from typing import BinaryIO, Callable, Dict, Iterator, Optional

from corebox.coredump.faults import not_a_core
from corebox.coredump.header import MAGIC
from corebox.errors import HostError, InputError
from corebox.files import lz4, zstd
from corebox.files.copying import write_at
from corebox.files.gunzip import gunzip
from corebox.files.magic import compression_of
from corebox.files.temporary import temporary_directory

_CHUNK = 1 << 20
#: Of a core that somebody compressed here, as hard as ``zstd -d`` takes it without being asked twice: 128 MiB.
_MAX_WINDOW = 27
_PAGE = 4096


@contextlib.contextmanager
def decompressed_core(path: str, directory: str) -> Iterator[str]:
    """The path of a readable core: ``path`` itself, or a temporary file in ``directory`` with its content.

    A compressed core that ends early gives what there is of it; the core's headers then tell what is missing.

    Raises:
        InputError: ``core-damaged``, ``not-a-core``.
        HostError: ``no-space``, ``no-libzstd`` or ``no-liblz4``.
    """
    kind = compression_of(path)
    if kind is None:
        yield path
        return
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open(path, "rb"))
        folder = stack.enter_context(temporary_directory(directory, guarded=True))  # mode 0700
        name = os.path.join(folder, os.path.basename(path))
        with open(name, "wb") as target:
            write_sparse(_READERS[kind](source), target)
        status = os.stat(path)
        _check(path, name)
        os.utime(name, ns=(status.st_mtime_ns, status.st_mtime_ns))
        yield name


def first_bytes(path: str, size: int) -> bytes:
    """Up to ``size`` bytes from the beginning of a compressed file's content; none of one that is not compressed.

    Raises:
        HostError: ``no-libzstd`` or ``no-liblz4``.
    """
    kind = compression_of(path)
    if kind is None:
        return b""
    with open(path, "rb") as source:
        return bytes(itertools.islice(itertools.chain.from_iterable(_READERS[kind](source)), size))


def _check(path: str, name: str) -> None:
    """The user knows the file by ``path``, not by the ``name`` of its content."""
    with open(name, "rb") as file:
        start = file.read(_PAGE)
    if not start.startswith(MAGIC):
        raise not_a_core(path, start, os.path.getsize(name))


def write_sparse(pieces: Iterator[bytes], file: BinaryIO) -> None:
    """Write the pieces with a hole for every page of zeros.

    Raises:
        HostError: ``no-space``.
    """
    descriptor = file.fileno()
    offset = 0
    rest = b""
    try:
        for piece in pieces:
            data = rest + piece
            whole = len(data) - len(data) % _PAGE
            _write_pages(descriptor, data[:whole], offset)
            offset += whole
            rest = data[whole:]
        _write_pages(descriptor, rest, offset)
        os.ftruncate(descriptor, offset + len(rest))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise HostError(
            "no-space", "no space to decompress the core", "set TMPDIR to a directory on a larger disk"
        ) from error


def _write_pages(descriptor: int, data: bytes, offset: int) -> None:
    """Write runs of pages that are not zero."""
    begin: Optional[int] = None
    for at in range(0, len(data) + 1, _PAGE):
        page = data[at : at + _PAGE]
        if page.strip(b"\0") if page[:1] == b"\0" else page:
            begin = at if begin is None else begin
        elif begin is not None:
            write_at(descriptor, data[begin:at], offset + begin)
            begin = None
    if begin is not None:
        write_at(descriptor, data[begin:], offset + begin)


def _unzstd(source: BinaryIO) -> Iterator[bytes]:
    library = zstd.load_library()
    if library is None:
        raise HostError("no-libzstd", "this machine has no libzstd 1.4 or later", "decompress the core first: zstd -d")
    # Cut short: what is there is used, and the core's headers tell what is missing.
    with contextlib.suppress(ValueError, InputError):
        yield from zstd.decompressed(library, source, _MAX_WINDOW)


def _gunzip(source: BinaryIO) -> Iterator[bytes]:
    with contextlib.suppress(ValueError):
        yield from gunzip(iter(lambda: source.read(_CHUNK), b""))


def _unxz(source: BinaryIO) -> Iterator[bytes]:
    import lzma  # noqa: PLC0415  # nobody else needs it

    decompressor = lzma.LZMADecompressor(memlimit=1 << 30)
    while not decompressor.eof:
        data = source.read(_CHUNK) if decompressor.needs_input else b""
        if not data and decompressor.needs_input:
            return
        try:
            piece = decompressor.decompress(data, _CHUNK)
        except lzma.LZMAError:
            return
        if piece:
            yield piece


_READERS: Dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "zst": _unzstd,
    "lz4": lz4.decompressed,
    "gz": _gunzip,
    "xz": _unxz,
}
