"""Writes a bundle in one pass: nothing is copied first, nothing held in memory, and no half bundle is left behind."""

import contextlib
import errno
import hashlib
import os
import stat
from typing import BinaryIO, Callable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from corebox.bundle import compression, layout
from corebox.bundle.digests import PagesDigest, format_sums, identity_of
from corebox.bundle.envelope import Envelope, Filter
from corebox.bundle.manifest import FileEntry, Manifest
from corebox.bundle.members import core_member, file_members, plain, symlink_members
from corebox.bundle.runscript import run_script
from corebox.bundle.stage import Stage
from corebox.bundle.tarformat import BLOCK, format_member, format_sparse_map, padding
from corebox.bundle.temporary import temporary_directory
from corebox.coredump import CoreFile
from corebox.errors import HostError, InputError

#: Called with the bytes read so far and all bytes to read.
Progress = Callable[[int, int], None]
#: Called with offset and bytes of a piece of the core; returns as many bytes.
Change = Callable[[int, bytes], bytes]

_CHUNK = 1 << 18


class WrittenBundle(NamedTuple):
    """A finished bundle; ``size`` is that of the file."""

    path: str
    identity: str
    size: int


def write_bundle(
    out: str,
    manifest: Manifest,
    sources: Mapping[str, str],
    core: Optional[CoreFile],
    *,
    jobs: int = 1,
    progress: Optional[Progress] = None,
    envelope: Optional[Envelope] = None,
    change: Optional[Change] = None,
) -> WrittenBundle:
    """Write the bundle ``out``, replacing a file of that name.

    Args:
        out: where the bundle will stand; its directory exists.
        manifest: what to write; ``sources`` names the file on disk for each of ``manifest.files``.
        sources: canonical path at the site to path on this machine.
        core: the core, if ``manifest.core.included``.
        jobs: threads that compress.
        progress: told of the bytes read.
        change: what becomes of each piece of the core on its way, given its offset; it keeps its length.
        envelope: how to encrypt it, if at all; nothing unencrypted touches the disk then.

    Raises:
        InputError: ``file-changed`` when a file is no longer as the manifest has it, or the core still grows.
        HostError: ``no-space`` or ``cannot-write``.
    """
    directory = os.path.dirname(os.path.abspath(out))
    try:
        with temporary_directory(directory) as place:
            temporary = os.path.join(place, "bundle")
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                content = _Content(manifest, sources, core, progress, change)
                if envelope is None:
                    identity = _write_compressed(file, content, jobs)
                else:
                    identity = _write_encrypted(file, content, jobs, envelope)
            size = os.path.getsize(temporary)
            os.replace(temporary, out)
    except OSError as error:
        raise _cannot_write(out, error) from error
    return WrittenBundle(out, identity, size)


def _cannot_write(out: str, error: OSError) -> HostError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HostError("no-space", "no space left for {}".format(out), "write it to another disk with -o")
    reason = error.strerror or str(error)
    return HostError("cannot-write", "cannot write {}: {}".format(out, reason), "choose another place with -o")


class _Content(NamedTuple):
    manifest: Manifest
    sources: Mapping[str, str]
    core: Optional[CoreFile]
    progress: Optional[Progress]
    change: Optional[Change]


def _write_encrypted(file: BinaryIO, content: _Content, jobs: int, envelope: Envelope) -> str:
    file.write(envelope.head)
    encryption = Filter(envelope.command, envelope.password, None, file)
    try:
        identity = _write_compressed(encryption.stdin, content, jobs)
    except BrokenPipeError:
        identity = ""  # the program has ended; it says why
    except BaseException:
        encryption.abandon()
        raise
    encryption.finish()
    return identity


def _write_compressed(file: BinaryIO, content: _Content, jobs: int) -> str:
    writer = compression.open_writer(file, jobs)
    try:
        identity = _ArchiveWriter(writer, content).write()
    except BaseException:
        writer.abandon()
        raise
    writer.close()
    return identity


class _ArchiveWriter:
    """Writes the members in order and digests them."""

    def __init__(self, writer: compression.Writer, content: _Content) -> None:
        self._writer = writer
        self._manifest = content.manifest
        self._sources = content.sources
        self._core = content.core
        self._progress = content.progress
        self._change = content.change
        self._digests: List[Tuple[str, str]] = []
        self._done = 0
        self._total = sum(entry.size for entry in content.manifest.files)
        self._total += content.manifest.core.stored if content.core else 0

    def write(self) -> str:
        """Write everything and return the identity."""
        self._plain(layout.MANIFEST, self._manifest.to_bytes())
        for member in symlink_members(self._manifest):
            self._writer.write(format_member(member))
        for entry, member in file_members(self._manifest):
            self._writer.write(format_member(member))
            self._file(entry)
        if self._core:
            self._write_core(self._core)
        self._plain(layout.RUN_SCRIPT, run_script(self._manifest.process.executable or ""), 0o755)
        sums = format_sums(self._digests)
        self._plain(layout.SUMS, sums)
        self._writer.write(bytes(2 * BLOCK))
        return identity_of(sums)

    def _plain(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self._writer.write(format_member(plain(name, len(data), mode)) + data + bytes(padding(len(data))))
        self._digests.append((name, hashlib.sha256(data).hexdigest()))

    def _step(self, size: int) -> None:
        self._done += size
        if self._progress:
            self._progress(self._done, self._total)

    def _file(self, entry: FileEntry) -> None:
        digest = hashlib.sha256()
        for piece in _read_file(self._sources[entry.path], entry):
            digest.update(piece)
            self._writer.write(piece)
            self._step(len(piece))
        self._writer.write(bytes(padding(entry.size)))
        self._digests.append((layout.member_of(entry.path), digest.hexdigest()))

    def _write_core(self, core: CoreFile) -> None:
        extents = [(extent.offset, extent.size) for extent in core.extents()]
        sparse_map = format_sparse_map(extents, core.size)
        stored = len(sparse_map) + sum(size for _, size in extents)
        self._writer.write(format_member(core_member(self._manifest, stored)) + sparse_map)
        digest = PagesDigest()
        with Stage(digest.update) as hashing:
            for offset, size in extents:
                self._extent(core.fileno(), offset, size, hashing)
        if os.fstat(core.fileno()).st_size != core.size:
            raise changed(core.path)
        self._writer.write(bytes(padding(stored)))
        self._digests.append((layout.CORE, digest.hexdigest(core.size)))

    def _extent(self, descriptor: int, offset: int, size: int, hashing: Stage) -> None:
        while size:
            with _reading("the core"):
                piece = os.pread(descriptor, min(size, _CHUNK), offset)
            if not piece:
                raise changed("the core")
            if self._change:
                piece = self._change(offset, piece)
            hashing.put(offset, piece)
            self._writer.write(piece)
            self._step(len(piece))
            offset += len(piece)
            size -= len(piece)


def _read_file(path: str, entry: FileEntry) -> Iterator[bytes]:
    """The content of the file, which must be as the manifest has it before and afterwards."""
    with _reading(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO put there meanwhile must not make us wait
    with open(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode) or (before.st_size, max(0, int(before.st_mtime))) != (
            entry.size,
            entry.mtime,
        ):
            raise changed(path)
        left = entry.size
        while left:
            with _reading(path):
                piece = file.read(min(left, _CHUNK)) or b""
            if not piece:
                raise changed(path)
            left -= len(piece)
            yield piece
        after = os.fstat(descriptor)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise changed(path)


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    """Tell a failure to read from a failure to write."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "cannot-read",
            "cannot read {}: {}".format(path, error.strerror),
            "check its permissions and the disk; as root more can be read",
            path=path,
        ) from error


def changed(path: str) -> InputError:
    """``file-changed``: what is gathered is not as it was when that began."""
    return InputError(
        "file-changed",
        "{} changed while it was being gathered".format(path),
        "gather again when nothing is being installed and the core is completely written",
        path=path,
    )
