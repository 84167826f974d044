"""Puts the members of a bundle into a new directory: nothing there existed before, so no link can misdirect us."""

import contextlib
import errno
import os
import shutil
from array import array
from pathlib import Path
from typing import Iterator, List, Tuple

from corebox.bundle import layout
from corebox.bundle.compression import Stream
from corebox.bundle.digests import PagesDigest
from corebox.bundle.faults import damaged
from corebox.bundle.stage import Stage
from corebox.bundle.tarformat import BLOCK, Member, padding, parse_decimal
from corebox.errors import HostError

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_BATCH = 1 << 20


@contextlib.contextmanager
def fresh_directory(into: Path) -> Iterator[None]:
    """Make ``into`` for the body; when that fails, empty or remove it again and say why in our own terms.

    Raises:
        HostError: ``no-space``, ``not-empty`` or ``cannot-unpack``.
    """
    existed = into.is_dir()
    if existed and any(into.iterdir()):
        raise HostError("not-empty", "{} is not empty".format(into), "unpack into a new directory")
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
        return damaged("a name is too long for a file system")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(into)
    return HostError("cannot-unpack", "cannot unpack into {}: {}".format(into, error), "check that it can be written")


def no_space(into: Path) -> HostError:
    """The error for a full disk."""
    return HostError("no-space", "not enough space to unpack into {}".format(into), "free some, or use another disk")


def require_space(into: Path, size: int) -> None:
    """Raise HostError ``no-space`` unless ``size`` bytes fit into the file system of ``into``."""
    free = os.statvfs(str(into))
    if free.f_bavail * free.f_frsize < size:
        raise no_space(into)


def make_symlink(into: Path, member: Member) -> None:
    """Make the symbolic link."""
    path = os.path.join(os.fsencode(str(into)), member.name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(member.target, path)


@contextlib.contextmanager
def new_file(into: Path, member: Member) -> Iterator[int]:
    """A descriptor of the new file; it gets the member's mode (readable for its owner at least) and time afterwards."""
    path = os.path.join(os.fsencode(str(into)), member.name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = os.open(path, _NEW_FILE, 0o600)
    try:
        yield descriptor
        os.fchmod(descriptor, member.mode | 0o400)
        os.utime(descriptor, (member.mtime, member.mtime))
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset``."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def read_sparse_map(stream: Stream, member: Member) -> Tuple["array[int]", "array[int]"]:
    """Offsets and sizes of the extents of the core, from the head of its data.

    They ascend, do not touch, and add up to the member's size.
    """
    numbers, size = _read_numbers(stream)
    offsets, lengths = numbers[1::2], numbers[2::2]
    if offsets and (offsets[-1], lengths[-1]) == (member.sparse_size, 0):
        offsets.pop()
        lengths.pop()
    end = -1
    for offset, length in zip(offsets, lengths):
        if offset <= end or not length:
            raise damaged("the extents of the core are not in order")
        end = offset + length
    if end > member.sparse_size or size + sum(lengths) != member.size:
        raise damaged("the extents of the core do not fit its size")
    return offsets, lengths


def _read_numbers(stream: Stream) -> Tuple["array[int]", int]:
    """The numbers of a sparse map, the first being how many pairs follow, and the size of the map in bytes."""
    numbers: "array[int]" = array("q")  # a list of the millions that there may be would be a gigabyte
    wanted, rest, size = 1, b"", 0
    while len(numbers) < wanted:
        block = stream.read(BLOCK)
        size += BLOCK
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        try:
            numbers.extend([parse_decimal(line) for line in lines])
        except ValueError as error:
            raise damaged("the sparse map of the core is not made of numbers") from error
        if len(rest.rstrip(b"\0")) > 20:
            raise damaged("the sparse map of the core is not made of numbers")
        if numbers:
            wanted = 1 + 2 * numbers[0]
            if numbers[0] > layout.MAX_EXTENTS:
                raise damaged("the core has too many extents")
    if len(numbers) != wanted or rest.strip(b"\0"):
        raise damaged("the sparse map of the core is not made of numbers")
    return numbers, size


def copy_core(stream: Stream, member: Member, descriptor: int, into: Path) -> PagesDigest:
    """Restore the sparse core and return the digest of its pages, of which ``hexdigest`` is still to be asked."""
    offsets, sizes = read_sparse_map(stream, member)
    require_space(into, sum(sizes))
    digest = PagesDigest()

    def hash_all(batch: List[Tuple[int, bytes]]) -> None:
        for at, piece in batch:
            digest.update(at, piece)

    def write_batch(batch: List[Tuple[int, bytes]]) -> None:
        for at, piece in batch:
            write_all(descriptor, piece, at)

    with Stage(hash_all) as hashing, Stage(write_batch) as writing:
        for batch in _batches(stream, offsets, sizes):
            hashing.put(batch)
            writing.put(batch)
    os.ftruncate(descriptor, member.sparse_size)
    skip_padding(stream, member)
    return digest


def _batches(stream: Stream, offsets: "array[int]", sizes: "array[int]") -> Iterator[List[Tuple[int, bytes]]]:
    """Pieces of the core with their offsets, about a MiB together: to hand on each of many small ones costs more."""
    batch: List[Tuple[int, bytes]] = []
    waiting = 0
    for offset, size in zip(offsets, sizes):
        at = offset
        for piece in stream.pieces(size):
            batch.append((at, piece))
            at += len(piece)
            waiting += len(piece)
            if waiting >= _BATCH:
                yield batch
                batch, waiting = [], 0
    yield batch


def skip_padding(stream: Stream, member: Member) -> None:
    """Read the zeros up to the next header."""
    if stream.read(padding(member.size)).strip(b"\0"):
        raise damaged("something hides between its members")
