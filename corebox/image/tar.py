"""Layer tars: sorted, every directory listed, root's, with fixed times where nothing says otherwise; never sparse.

An engine cannot give back the tar of a layer with a sparse entry ("could not verify layer data" on save and push), and
a builder invents times for directories that a tar does not list.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from corebox.store.blobs import BlobWriter

_DIRECTORY_MODE = 0o755
_BLOCK = tarfile.BLOCKSIZE
_FORMAT = 1  # raise it when the bytes that an entry makes change


class Entry(NamedTuple):
    """A member of a layer: a file (``source``), a symbolic link (``target``), else a directory.

    Attributes:
        path: relative to the root, without a slash at either end.
        size: bytes of the file; ``source`` is where to read them, or the bytes themselves.
        digest: hex SHA-256 of the file, if it is known beforehand.
    """

    path: str
    mode: int = _DIRECTORY_MODE
    mtime: int = 0
    size: int = 0
    target: str | None = None
    source: Path | bytes | None = None
    digest: str | None = None


def text_file(path: str, data: bytes, mode: int = 0o644) -> Entry:
    """A small file of ours, with its digest."""
    return Entry(path, mode, 0, len(data), None, data, hashlib.sha256(data).hexdigest())


def complete(entries: Iterable[Entry]) -> list[Entry]:
    """The entries with all their parent directories, in byte order of their paths' parts."""
    by_path = {entry.path: entry for entry in entries}
    for path in list(by_path):
        while path := path.rpartition("/")[0]:
            by_path.setdefault(path, Entry(path))
    return sorted(by_path.values(), key=lambda entry: os.fsencode(entry.path).split(b"/"))


def key_of(entries: Sequence[Entry]) -> str | None:
    """A text that two layers share only if their tars are equal; None if a file's digest is not known beforehand."""
    if any(entry.source is not None and entry.digest is None for entry in entries):
        return None
    rows = [[e.path, e.mode, e.mtime, e.size, e.target, e.digest] for e in entries]
    return hashlib.sha256(json.dumps([_FORMAT, rows]).encode("ascii")).hexdigest()


def write_tar(entries: Sequence[Entry], writer: BlobWriter) -> None:
    """Write the tar of ``complete`` entries."""
    for entry in entries:
        writer.write(_header(entry))
        if isinstance(entry.source, bytes):
            writer.write(entry.source)
        elif entry.source is not None:
            _write_file(entry.source, entry.size, writer)
        writer.write(bytes(-entry.size % _BLOCK))
    writer.write(bytes(2 * _BLOCK))


def _write_file(source: Path, size: int, writer: BlobWriter) -> None:
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        writer.copy_range(descriptor, 0, size)
    finally:
        os.close(descriptor)


def _header(entry: Entry) -> bytes:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.mtime, info.size = entry.mode, entry.mtime, entry.size
    if entry.target is not None:
        info.type, info.linkname = tarfile.SYMTYPE, entry.target
    elif entry.source is None:
        info.type = tarfile.DIRTYPE
    return header_of(info)


def header_of(info: tarfile.TarInfo) -> bytes:
    """A member's headers; Python 3.9 and later agree on every byte."""
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
