"""Reading files on disk: the operating system's refusals become errors of ours."""

import errno
import os
import stat
from typing import Callable, Iterator, Tuple

from corebox.coredump import faults
from corebox.coredump.values import Extent

PAGE = 4096
CHUNK = 1 << 20
LAST_OFFSET = (1 << 63) - 1  # off_t
_ZEROS = bytes(CHUNK)


def open_regular(path: str) -> int:
    """A descriptor of the regular file at ``path``.

    Opened without blocking, so that a named pipe in the place of a file cannot make us wait.

    Raises:
        InputError: ``no-such-file``, ``not-a-file``, ``cannot-read``.
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
    if offset < 0:
        return b""
    size = min(size, LAST_OFFSET - offset)  # a read across it is EINVAL, not a short one (the kernel's rw_verify_area)
    pieces = []
    while size > 0:
        piece = os.pread(descriptor, min(size, 1 << 24), offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        size -= len(piece)
    return b"".join(pieces)


def stored_extents(descriptor: int, size: int, position: int = 0) -> Iterator[Extent]:
    """The runs of stored bytes from ``position`` to ``size`` (lseek(2), SEEK_DATA).

    All of it is one run where the file system cannot tell.
    """
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
        if start >= size:
            return
        yield Extent(start, min(end, size) - start)
        position = end


def data_extents(
    descriptor: int, size: int, start: int = 0, told: Callable[[int], object] = lambda _: None
) -> Iterator[Extent]:
    """The runs of pages that are not all zero, from ``start`` to ``size``: the same wherever the file is stored.

    ``told`` is called with the number of bytes whenever some have been looked through.
    """
    begin, end, position = start, start, start // PAGE * PAGE
    for extent in stored_extents(descriptor, size, start):
        position = max(position, extent.offset // PAGE * PAGE)
        stop = min(-(-(extent.offset + extent.size) // PAGE) * PAGE, size)
        while position < stop:
            data = read_at(descriptor, position, min(CHUNK, stop - position))
            if not data:
                break
            for low, high in _data_runs(data):
                if position + low > end:
                    if end > begin:
                        yield Extent(begin, end - begin)
                    begin = position + low
                end = position + high
            position += len(data)
            told(len(data))
    if end > begin:
        yield Extent(begin, end - begin)


def _data_runs(data: bytes) -> Iterator[Tuple[int, int]]:
    """Beginning and end of each run of pages in ``data`` that are not all zero; its last page may be short."""
    if data == _ZEROS[: len(data)]:
        return
    begin = -1
    for at in range(0, len(data), PAGE):
        # Most pages are told from zeros by their first byte.
        if data[at] or data[at : at + PAGE] != _ZEROS[: min(PAGE, len(data) - at)]:
            if begin < 0:
                begin = at
        elif begin >= 0:
            yield begin, at
            begin = -1
    if begin >= 0:
        yield begin, len(data)
