"""What goes into a layer, and how it becomes the same bytes on every machine."""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from corebox.errors import InputError
from corebox.store import BlobWriter, Layer, Store

FORMAT = 1  # part of every layer's key: raise it when the bytes of a layer change
FOLDER_MODE = 0o755


@dataclass(frozen=True)
class Produced:
    """Content that a function appends to the blob; ``size`` bytes of it."""

    size: int
    write: Callable[[BlobWriter], None]


@dataclass(frozen=True)
class Entry:
    """One member of a layer.

    Attributes:
        path: from the root, without a leading slash.
        source: a file to copy, bytes, something produced, or None for a directory.
        mode: permission bits.
        mtime: seconds.
        link: target, if it is a symbolic link.
        digest: hex SHA-256 of the content where it is known beforehand.
    """

    path: str
    source: Path | bytes | Produced | None = None
    mode: int = 0o644
    mtime: int = 0
    link: str | None = None
    digest: str | None = None


def layer_key(entries: Iterable[Entry]) -> str | None:
    """What the bytes of a layer depend on, or None if that is not known before they are written."""
    rows = []
    for entry in entries:
        digest = entry.digest
        if isinstance(entry.source, bytes):
            digest = hashlib.sha256(entry.source).hexdigest()
        elif entry.source is not None and digest is None:
            return None
        rows.append([entry.path, entry.mode, entry.mtime, entry.link or "", digest or ""])
    return json.dumps([FORMAT, sorted(rows)])


def write_layer(store: Store, kind: str, entries: Iterable[Entry]) -> Layer:
    """Write a layer as a tar: members sorted, every parent directory listed, owner 0:0, no sparse member.

    Raises:
        InputError: ``file-changed`` if a source is not of the size that it had when it was listed.
    """
    with store.writer() as blob:
        for entry in _with_parents(entries):
            _write_entry(blob, entry)
        blob.write(bytes(2 * tarfile.BLOCKSIZE))
        written = blob.commit()
    return Layer(written.digest, written.size, kind, written.digest)


def _with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in byte order, with the directories above them.

    An engine that has to make a directory gives it the time of the day, and another digest every time.
    """
    found: dict[bytes, Entry] = {}
    for entry in entries:
        parent = os.path.dirname(entry.path)
        while parent:
            found.setdefault(os.fsencode(parent), Entry(parent, mode=FOLDER_MODE))
            parent = os.path.dirname(parent)
        found[os.fsencode(entry.path)] = entry
    return [found[path] for path in sorted(found)]


def _write_entry(blob: BlobWriter, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.mtime = entry.mode, entry.mtime
    if entry.link is not None:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
        blob.write(tar_header(info))
    elif entry.source is None:
        info.type = tarfile.DIRTYPE
        blob.write(tar_header(info))
    elif isinstance(entry.source, bytes):
        info.size = len(entry.source)
        blob.write(tar_header(info) + entry.source)
    elif isinstance(entry.source, Produced):
        info.size = entry.source.size
        blob.write(tar_header(info))
        entry.source.write(blob)
    else:
        _write_file(blob, info, entry.source)
    blob.write(bytes(-info.size % tarfile.BLOCKSIZE))


def _write_file(blob: BlobWriter, info: tarfile.TarInfo, source: Path) -> None:
    with source.open("rb") as stream:
        info.size = os.fstat(stream.fileno()).st_size
        blob.write(tar_header(info))
        try:
            blob.copy_range(stream.fileno(), 0, info.size)
        except EOFError as error:
            raise InputError("file-changed", f"{source} changed while it was read", "run the command again") from error


def tar_header(info: tarfile.TarInfo) -> bytes:
    """The header blocks of a member, the same on every Python from 3.9 on."""
    return info.tobuf(format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape")
