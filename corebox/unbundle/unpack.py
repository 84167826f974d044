"""Puts the members of a bundle into a new directory: nothing there existed before, so no link can misdirect us."""

import contextlib
import errno
import hashlib
import itertools
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from corebox.bundle.blocks import BlockHasher
from corebox.bundle.corelayer import CORE_OFFSET, layer_head, layer_tail
from corebox.bundle.faults import damaged
from corebox.bundle.tarformat import Member, padding
from corebox.coredump.header import HEADER_SIZE
from corebox.errors import HostError
from corebox.files.copying import write_at
from corebox.files.extents import read_at
from corebox.files.stage import Stage
from corebox.unbundle.compression import Stream

_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


@contextlib.contextmanager
def fresh_directory(into: Path) -> Iterator[None]:
    """Make ``into`` for the body; when that fails, empty or remove it again and say why in our own terms.

    Raises:
        HostError: ``no-space``, ``not-empty`` or ``cannot-unpack``.
    """
    existed = into.is_dir()
    if existed and any(into.iterdir()):
        raise HostError("not-empty", f"{into} is not empty", "unpack into a new directory")
    try:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            yield
        except BaseException:
            shutil.rmtree(str(into), ignore_errors=True)
            if existed:
                into.mkdir(mode=0o700)
            raise
    except OSError as error:
        raise _cannot_unpack(into, error) from error


def _cannot_unpack(into: Path, error: OSError) -> Exception:
    if error.errno == errno.ENAMETOOLONG:
        return damaged("a file name is too long")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(into)
    return HostError("cannot-unpack", f"cannot unpack into {into}: {error}", "check that it can be written")


def no_space(into: Path) -> HostError:
    """The error for a full disk."""
    return HostError("no-space", f"not enough space to unpack into {into}", "free some, or use another disk")


def require_space(into: Path, size: int) -> None:
    """Raise HostError ``no-space`` unless ``size`` bytes fit into the file system of ``into``."""
    free = os.statvfs(str(into))
    if free.f_bavail * free.f_frsize < size:
        raise no_space(into)


def _path_of(into: Path, member: Member) -> Path:
    """Where the member goes; the directories above it are there."""
    path = into / os.fsdecode(member.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def make_symlink(into: Path, member: Member) -> None:
    """Make the symbolic link."""
    _path_of(into, member).symlink_to(os.fsdecode(member.target))


@contextlib.contextmanager
def new_file(into: Path, member: Member) -> Iterator[int]:
    """A descriptor of the new file; it gets the member's mode (readable for its owner at least) and time afterwards."""
    descriptor = os.open(_path_of(into, member), _NEW_FILE, 0o600)
    try:
        yield descriptor
        os.fchmod(descriptor, member.mode | 0o400)
        os.utime(descriptor, (member.mtime, member.mtime))
    finally:
        os.close(descriptor)


class CopiedCore(NamedTuple):
    """The SHA-256 of a core's layer, in hex, and the core's ``core.digests``, as far as they were wanted."""

    layer: str | None
    digests: bytes | None


def copy_core(
    stream: Stream, member: Member, descriptor: int, into: Path, hash_layer: bool, hash_blocks: bool
) -> CopiedCore:
    """Write the core with its layer's tar around it."""
    require_space(into, member.size)
    begin = stream.read(min(member.size, HEADER_SIZE))
    head = layer_head(begin, member.size, member.mtime)
    layer = hashlib.sha256(head) if hash_layer else None
    blocks = BlockHasher() if hash_blocks else None
    with contextlib.ExitStack() as stack:  # each on a thread of its own
        stages = [stack.enter_context(Stage(each.update)) for each in (layer, blocks) if each]
        writing = stack.enter_context(Stage(partial(write_at, descriptor)))
        writing.put(head, 0)
        offset = CORE_OFFSET
        for piece in itertools.chain((begin,), stream.pieces(member.size - len(begin))):
            for stage in stages:
                stage.put(piece)
            writing.put(piece, offset)
            offset += len(piece)
    tail = layer_tail(member.size, lambda at, size: read_at(descriptor, CORE_OFFSET + at, size))
    write_at(descriptor, tail, offset)
    skip_padding(stream, member)
    if layer:
        layer.update(tail)
    return CopiedCore(layer.hexdigest() if layer else None, blocks.text() if blocks else None)


def skip_padding(stream: Stream, member: Member) -> None:
    """Read the zeros up to the next header."""
    if stream.read(padding(member.size)).strip(b"\0"):
        raise damaged("unexpected data between its members")
