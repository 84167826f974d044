"""Packages (.deb, .rpm, .apk), tar files, zip files and wheels: what they hold, and which of it is wanted.

No path in an archive is used, only names are compared; nothing is unpacked but what is wanted, one file at a time, and
no script of a package is run. libarchive reads them, with the formats and filters named here and no others: some of
its others open files of this machine or start programs.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from corebox.coredump.header import MAGIC
from corebox.errors import HostError, InputError
from corebox.files.paths import is_canonical
from corebox.locate.members import Members
from corebox.locate.packages import Package, read_package
from corebox.locate.wanted import Candidate, Member, Origin, Wanted, Wants
from corebox.locate.wantedfiles import Key, WantedFiles
from corebox.store.store import Store

_FILTERS = ("gzip", "bzip2", "xz", "lzma", "zstd", "rpm")
_AR, _RPM, _ZIP = b"!<arch>\n", b"\xed\xab\xee\xdb", b"PK\x03\x04"
_MAX_MEMBERS = 1 << 20
_MAX_MEMBER_SIZE = 16 << 30  # bytes
_MAX_SIZE = 256 << 30
_BLOCK = 1 << 18


class Entry(NamedTuple):
    """A file or a link in an archive, with its name as it stands there."""

    name: str
    blocks: Iterator[bytes]
    mode: int
    mtime: int
    target: str | None = None


class Archive:
    """One archive as a place and as a tree.

    Args:
        path: of the file.
        store: where temporary files are, and what is known of archives.
        name: what the user calls it.
        origin: where its files come from, if not from this file alone.
    """

    def __init__(self, path: Path, store: Store, name: str | None = None, origin: Origin | None = None) -> None:
        self.name = name or str(path)
        self._path = path
        self._store = store
        self._origin = origin
        status = path.stat()
        self.stamp = json.dumps([str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino])

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """Those of ``wanted_files`` that are in it.

        Raises:
            InputError: ``bad-symbols``.
            HostError: ``no-libarchive``, ``no-space``.
        """
        return Members(self, self._store, self.stamp).find(wanted_files)

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """See ``Place``; raises as ``find`` does."""
        return Members(self, self._store, self.stamp).candidates(wanted, self._origin or self._described())

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """See ``Tree``."""
        with self._store.workplace() as work:
            for number, entry in enumerate(entries(self._path, work)):
                name = canonical(entry.name)
                if name is None or not wants(name):
                    continue
                if entry.target is not None:
                    yield Member(name, None, entry.target)
                    continue
                path = self._written(entry, work / str(number), elf_only=elf_only)
                if path is not None:
                    yield Member(name, path)
                    path.unlink(missing_ok=True)

    def _described(self) -> Origin:
        package = read_package(self._path, self._control) or Package(None, None)
        return Origin(self.name, package.name, package.version, str(self._path))

    def _control(self, name: str) -> bytes:
        """A small file that tells what a package is: of an ``ar`` the control file, else the member of this name."""
        with self._store.workplace() as work:
            for entry in entries(self._path, work, part="control.tar"):
                if canonical(entry.name) == name:
                    return next(entry.blocks, b"")
        return b""

    def _written(self, entry: Entry, path: Path, *, elf_only: bool) -> Path | None:
        """The member as a file; with ``elf_only`` if it begins as ELF files do."""
        first = next(entry.blocks, b"")
        if elf_only and not first.startswith(MAGIC):
            return None
        size = len(first)
        with path.open("xb") as out:
            out.write(first)
            for block in entry.blocks:
                size += len(block)
                if size > _MAX_MEMBER_SIZE:
                    raise bad_archive(self._path, "a file in it is larger than any debug file")
                out.write(block)
            os.fchmod(out.fileno(), entry.mode & 0o777 | 0o600)
        os.utime(path, (entry.mtime, entry.mtime))
        return path


def canonical(name: str) -> str | None:
    """A member's name from the root of the tree; None for what is no name of a file there."""
    name = "/" + name.removeprefix(".").lstrip("/") if name.startswith("./") else "/" + name.lstrip("/")
    return name if is_canonical(name) else None


def entries(path: Path, work: Path, part: str = "data.tar") -> Iterator[Entry]:
    """Regular files and symbolic links; of a Debian package those of a tar in it (deb(5))."""
    with path.open("rb") as file:
        magic = file.read(8)
    kind = "ar" if magic == _AR else "cpio" if magic.startswith(_RPM) else "zip" if magic.startswith(_ZIP) else "tar"
    for entry in _read(path, kind):
        if kind == "ar" and entry.name.startswith(part):
            inner = work / "inner"
            with inner.open("wb") as out:
                out.writelines(entry.blocks)
            yield from _read(inner, "tar")
        elif kind != "ar":
            yield entry


def _read(path: Path, kind: str) -> Iterator[Entry]:
    left = _MAX_SIZE
    with _reading(path, kind) as archive:
        for number, entry in zip(count(), archive, strict=False):
            left -= entry.size or 0
            if number > _MAX_MEMBERS or left < 0 or (entry.size or 0) > _MAX_MEMBER_SIZE:
                raise bad_archive(path, "it is larger than any package when unpacked")
            mtime = max(0, min(int(entry.mtime or 0), 1 << 33))
            name = os.fsdecode(entry.pathname or "")  # None or bytes in an encoding that libarchive does not know
            if entry.isreg:
                yield Entry(name, _blocks(path, entry), entry.mode or 0, mtime)
            elif entry.issym:
                yield Entry(name, iter(()), 0, mtime, os.fsdecode(entry.linkpath or ""))


def _blocks(path: Path, entry: Any) -> Iterator[bytes]:
    """The content of a member; who reads it is told of what is damaged in the same words as of the rest."""
    from libarchive import ArchiveError  # noqa: PLC0415  # it is there when there are entries

    try:
        yield from entry.get_blocks(_BLOCK)
    except ArchiveError as error:
        raise bad_archive(path, str(error.msg)) from error


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
        raise bad_archive(path, str(error.msg)) from error


def bad_archive(path: Path, why: str) -> InputError:
    """The error for what cannot be read as an archive."""
    hint = "give a folder, an ELF file, a package (.deb, .rpm, .apk), a tar or zip file, an image or a server's URL"
    return InputError("bad-symbols", f"cannot read symbols from {path}: {why}", hint)
