"""Reading files on disk: the operating system's refusals become errors of ours."""

import errno
import os
import stat
from typing import Iterator

from corebox.coredump import faults
from corebox.coredump.values import Extent


def open_regular(path: str) -> int:
    """A descriptor of the regular file at ``path``.

    Opened without blocking, so that a named pipe in the place of a file cannot make us wait.

    Raises:
        InputError: ``no-such-file``, ``not-a-file``.
        HostError: ``cannot-read``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise faults.unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise faults.not_a_file(path)
    return descriptor


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Up to ``size`` bytes at ``offset``, fewer at its end; none at offsets that no file can have."""
    if size <= 0 or offset < 0 or offset >= 1 << 63:
        return b""
    pieces = []
    while size:
        piece = os.pread(descriptor, min(size, 1 << 24), offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        size -= len(piece)
    return b"".join(pieces)


def stored_extents(descriptor: int, size: int) -> Iterator[Extent]:
    """The runs of stored bytes (lseek(2), SEEK_DATA); the whole file where the file system cannot tell."""
    position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            if error.errno != errno.EINVAL:
                raise
            start, end = position, size
        yield Extent(start, min(end, size) - start)
        position = end
