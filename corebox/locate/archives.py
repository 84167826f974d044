"""Packages (.deb, .rpm) and tar files with debug files in them.

No path in an archive is used, only names are compared; nothing is unpacked but ELF files, one at a time, and what is
kept has a build ID that is wanted. libarchive reads them, with the formats and filters named here and no others: some
of its others open files of this machine or start programs.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from corebox.coredump.header import MAGIC
from corebox.errors import HostError, InputError
from corebox.locate.index import read_facts
from corebox.locate.wish import Best, Key, Wish, file_name
from corebox.store.store import Store

_FILTERS = ("gzip", "bzip2", "xz", "lzma", "zstd", "rpm")
_AR, _RPM = b"!<arch>\n", b"\xed\xab\xee\xdb"
_MOST_MEMBERS = 1 << 20
_LARGEST_MEMBER = 16 << 30  # bytes
_LARGEST = 256 << 30
_BLOCK = 1 << 18


class Archive:
    """One archive; what was found in it stays in the store, what was not is remembered."""

    def __init__(self, path: Path, store: Store) -> None:
        self._path = path
        self._store = store
        status = path.stat()
        self._stamp = json.dumps([str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino])

    def find(self, wish: Wish) -> dict[Key, Path]:
        """Those of ``wish`` that are in it.

        Raises:
            InputError: ``bad-symbols``.
            HostError: ``no-libarchive``, ``no-space``.
        """
        known = dict(self._store.recall("archive", self._stamp) or {})
        files = {key: self._store.cached(str(known[file_name(key)])) for key in wish.keys if known.get(file_name(key))}
        found = {key: path for key, path in files.items() if path.exists()}
        new = {key for key in wish.keys - found.keys() if known.get(file_name(key), "gone")}
        if new:
            looked = self._look(Wish(frozenset(new)))
            known |= {file_name(key): self._name(key) if key in looked else None for key in new}
            self._store.remember("archive", self._stamp, known)
            found |= looked
        return found

    def _name(self, key: Key) -> str:
        return f"symbols/{hashlib.sha256(os.fsencode(self._stamp)).hexdigest()[:16]}/{file_name(key)}"

    def _look(self, wish: Wish) -> dict[Key, Path]:
        best = Best()
        with self._store.workplace() as work:
            for number, (name, blocks) in enumerate(_members(self._path, work)):
                if wish.excludes(name):
                    continue
                path = _written(blocks, work / str(number))
                if path is None:
                    continue
                facts = read_facts(path)
                key = wish.match(name, path, facts)
                if key is not None:
                    best.add(key, path, facts)
                if path not in best.files.values():
                    path.unlink()
            return {key: self._store.cache(self._name(key), path) for key, path in best.files.items()}


def _members(path: Path, work: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Name and bytes of each regular file; of a Debian package those of the tar in it (deb(5))."""
    with path.open("rb") as file:
        magic = file.read(8)
    kind = "ar" if magic == _AR else "cpio" if magic.startswith(_RPM) else "tar"
    for name, blocks in _entries(path, kind):
        if kind == "ar" and name.startswith("data.tar"):
            inner = work / "data"
            with inner.open("wb") as out:
                out.writelines(blocks)
            yield from _entries(inner, "tar")
        elif kind != "ar":
            yield name, blocks


def _entries(path: Path, kind: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    left = _LARGEST
    with _reading(path, kind) as archive:
        for number, entry in zip(count(), archive, strict=False):
            left -= entry.size or 0
            if number > _MOST_MEMBERS or left < 0 or (entry.size or 0) > _LARGEST_MEMBER:
                raise _bad(path, "it is larger than any package when unpacked")
            if entry.isreg:
                # A name in an encoding that libarchive does not know is None.
                yield entry.pathname or "", entry.get_blocks(_BLOCK)


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[Any]:
    try:
        # Loads the shared library, which is not everywhere, and is needed for archives only.
        from libarchive import ArchiveError, ffi  # noqa: PLC0415
        from libarchive.read import ArchiveRead, new_archive_read  # noqa: PLC0415
    except (ImportError, OSError, AttributeError, TypeError) as error:
        hint = "install it: apt-get install libarchive13; or unpack the archive and give the folder"
        raise HostError("no-libarchive", f"cannot read {path} without libarchive", hint) from error
    try:
        with new_archive_read(kind, _FILTERS[0]) as pointer:
            for name in _FILTERS[1:]:
                ffi.get_read_filter_function(name)(pointer)
            ffi.read_open_filename_w(pointer, os.fspath(path), _BLOCK)
            yield ArchiveRead(pointer)
    except ArchiveError as error:
        raise _bad(path, str(error.msg)) from error


def _bad(path: Path, why: str) -> InputError:
    hint = "give a folder, an ELF file, a .deb, an .rpm, a tar file, or the URL of a debuginfod server"
    return InputError("bad-symbols", f"cannot read symbols from {path}: {why}", hint)


def _written(blocks: Iterator[bytes], path: Path) -> Path | None:
    """The member as a file if it begins as ELF files do."""
    first = next(blocks, b"")
    if not first.startswith(MAGIC):
        return None
    size = len(first)
    with path.open("xb") as out:
        out.write(first)
        for block in blocks:
            size += len(block)
            if size > _LARGEST_MEMBER:
                raise _bad(path, "a file in it is larger than any debug file")
            out.write(block)
    return path
