"""Writes a bundle in one pass: nothing is copied first, nothing held in memory, and no half bundle is left behind."""

import errno
import io
import os
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from corebox.bundle import layout
from corebox.bundle.blocks import BLOCK_SIZE, format_digests
from corebox.bundle.corecontent import CoreContent, CoreInFile
from corebox.bundle.corelayer import layer_digest
from corebox.bundle.digests import format_sums, identity_of
from corebox.bundle.manifest import FileEntry, Manifest
from corebox.bundle.members import core_member, file_members, plain, symlink_members
from corebox.bundle.runscript import run_script
from corebox.bundle.tarformat import BLOCK, format_member, padding
from corebox.errors import HostError
from corebox.files.extents import Buffers
from corebox.files.faults import changed, reading
from corebox.files.frames import FrameWriter, best_codec
from corebox.files.openfile import OpenFile
from corebox.files.sha256 import sha256
from corebox.files.stage import Stage
from corebox.files.temporary import replaceable, temporary_directory

if TYPE_CHECKING:
    from corebox.bundle.envelope import Envelope

#: Called with the bytes read so far and all bytes to read.
Progress = Callable[[int, int], None]

_CHUNK = 1 << 18
#: So many pieces of a file are hashed later than they are compressed.
_PIECES_KEPT = 16
_MAX_SMALL = 16 << 20
#: Levels of compression: of what is small, some tenths of a second for an eighth less to send.
_QUICK, _THOROUGH = 1, 9


class WrittenBundle(NamedTuple):
    """A finished bundle; ``size`` is that of the file, 0 where it is not known."""

    path: str
    identity: str
    size: int


class Content(NamedTuple):
    """What is written.

    Attributes:
        manifest: what it says.
        sources: the file for each of ``manifest.files``, by its canonical path.
        core: the core, if ``manifest.core.included``.
        progress: told of the bytes read.
        jobs: threads that compress.
        envelope: how to encrypt it, if at all; nothing unencrypted touches the disk then.
    """

    manifest: Manifest
    sources: Mapping[str, OpenFile]
    core: Optional[CoreContent]
    progress: Optional[Progress] = None
    jobs: int = 1
    envelope: "Optional[Envelope]" = None


def write_bundle(out: str, content: Content) -> WrittenBundle:
    """Write the bundle ``out``, replacing a file of that name; its directory exists.

    Raises:
        InputError: ``file-changed`` when a file is no longer as the manifest has it, or the core still grows.
        HostError: ``no-space`` or ``cannot-write``.
    """
    out = replaceable(out)
    directory = os.path.dirname(out)
    try:
        with temporary_directory(directory, guarded=True) as place:
            temporary = os.path.join(place, "bundle")
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                identity = write_content(file, content)
            size = os.path.getsize(temporary)
            os.replace(temporary, out)
    except OSError as error:
        raise cannot_write(out, error) from error
    return WrittenBundle(out, identity, size)


def write_content(file: BinaryIO, content: Content) -> str:
    """Write a bundle to an open file and return its identity; raises as ``write_bundle`` does, OSError included."""
    if content.envelope is None:
        return _write_compressed(file, content)
    return _write_encrypted(file, content, content.envelope)


def cannot_write(out: str, error: OSError) -> HostError:
    """``no-space``, ``too-many-open-files`` or ``cannot-write``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HostError("no-space", "no space left for {}".format(out), "write it to another disk with -o")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return HostError("too-many-open-files", "no more files can be opened", "raise the limit: ulimit -n 4096")
    reason = error.strerror or str(error)
    return HostError("cannot-write", "cannot write {}: {}".format(out, reason), "choose another place with -o")


def _write_encrypted(file: BinaryIO, content: Content, envelope: "Envelope") -> str:
    from corebox.bundle.envelope import Filter  # noqa: PLC0415  # it runs programs, and most bundles need none

    file.write(envelope.head)
    encryption = Filter(envelope.command, envelope.password, None, file)
    try:
        identity = _write_compressed(encryption.stdin, content)
    except BrokenPipeError:
        identity = ""  # the program has ended; it says why
    except BaseException:
        encryption.abandon()
        raise
    encryption.finish()
    return identity


def _write_compressed(file: BinaryIO, content: Content) -> str:
    writer = FrameWriter(file, content.jobs, best_codec(_THOROUGH if _is_small(content.manifest) else _QUICK))
    try:
        # On its own thread a digest costs no time: it lets the interpreter's lock go, and so does the compression.
        with Stage(_update, _PIECES_KEPT - 1) as hashing:
            identity = _ArchiveWriter(writer, content, hashing).write()
    except BaseException:
        writer.abandon()
        raise
    writer.close()
    return identity


def _is_small(manifest: Manifest) -> bool:
    """Whether the bundle was made small by leaving things out, so that its size matters more than a second."""
    size = manifest.core.stored + sum(entry.size for entry in manifest.files)
    return manifest.core.original_stored is not None and size < _MAX_SMALL


def _update(digest: Any, piece: Union[bytes, memoryview]) -> None:
    digest.update(piece)


class _ArchiveWriter:
    """Writes the members in order and digests them on ``hashing``."""

    def __init__(self, writer: FrameWriter, content: Content, hashing: Stage) -> None:
        self._writer = writer
        self._hashing = hashing
        self._manifest = content.manifest
        self._sources = content.sources
        self._core = content.core
        self._progress = content.progress
        self._buffers = Buffers(_PIECES_KEPT, _CHUNK)
        self._digests: List[Tuple[str, Callable[[], str]]] = []
        self._done = 0
        self._total = sum(entry.size for entry in content.manifest.files)
        self._total += content.core.size if content.core else 0

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
        self._hashing.finish()
        sums = format_sums((name, digest()) for name, digest in self._digests)
        self._plain(layout.SUMS, sums)
        self._writer.write(bytes(2 * BLOCK))
        return identity_of(sums)

    def _plain(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self._hashing.put(self._digest(name), data)
        self._writer.write(format_member(plain(name, len(data), mode)) + data + bytes(padding(len(data))))

    def _digest(self, name: str) -> Any:
        digest = sha256()
        self._digests.append((name, digest.hexdigest))
        return digest

    def _read(self, count: int) -> None:
        self._done += count
        if self._progress:
            self._progress(self._done, self._total)

    def _file(self, entry: FileEntry) -> None:
        digest = self._digest(layout.member_of(entry.path))
        for piece in _read_file(self._sources[entry.path], entry, self._buffers):
            self._hashing.put(digest, piece)
            self._writer.write(piece)
            self._read(len(piece))
        self._writer.write(bytes(padding(entry.size)))

    def _write_core(self, core: CoreContent) -> None:
        member = core_member(self._manifest, core.size)
        self._writer.write(format_member(member))
        # A frame for each block: who has the table of frames reads any of them, and its digest proves it.
        size, already = 0, len(self._writer.looks)
        for block in core.blocks(lambda: self._writer.space(BLOCK_SIZE)):
            self._writer.put(len(block), _hexdigest)
            size += len(block)
            self._read(len(block))
        if size != core.size:
            raise changed("the core")
        self._writer.write(bytes(padding(core.size)))
        if self._manifest.format.major == layout.LAYER_DIGEST_MAJOR:
            assert isinstance(core, CoreInFile)  # out of an image: nothing new is of that version
            self._digests.append((layout.CORE, partial(layer_digest, core.size, core.read, member.mtime)))
        else:
            self._writer.flush()
            self._plain(layout.CORE_DIGESTS, format_digests(self._writer.looks[already:]))
        self._plain(layout.CORE_LAYOUT, core.layout())


def _hexdigest(block: memoryview) -> str:
    digest = sha256()
    digest.update(block)
    return str(digest.hexdigest())


def _read_file(file: OpenFile, entry: FileEntry, buffers: Buffers) -> Iterator[memoryview]:
    """The content of the file, which must be as it was found before and afterwards."""
    if (file.status.size, file.status.mtime) != (entry.size, entry.mtime):
        raise changed(file.name)
    file.check_unchanged()
    with io.FileIO(file.fileno(), closefd=False) as source:
        position = 0
        while position < entry.size:
            with reading(file.name):
                piece = buffers.read(source, position, entry.size - position)
            if not piece:
                raise changed(file.name)
            position += len(piece)
            yield piece
    file.check_unchanged()
