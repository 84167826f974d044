"""Reading files on disk: the operating system's refusals become errors of ours."""

import errno
import io
import os
import stat
from collections import deque
from typing import BinaryIO, Callable, Iterator, NamedTuple, Tuple

from corebox.files.faults import not_a_file, unreadable

PAGE = 4096
CHUNK = 1 << 20
LAST_OFFSET = (1 << 63) - 1  # off_t
_ZEROS = bytes(PAGE)


class Extent(NamedTuple):
    """A run of bytes that a file really stores (not a hole)."""

    offset: int
    size: int


def open_regular(path: str) -> int:
    """A descriptor of the regular file at ``path``.

    Opened without blocking, so that a named pipe in the place of a file cannot make us wait.

    Raises:
        InputError: ``no-such-file``, ``not-a-file``, ``cannot-read``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise not_a_file(path)
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


def reader_at(file: BinaryIO) -> Tuple[Callable[[int, int], bytes], int]:
    """What reads up to so many bytes at an offset of an open file, and how many there are; 0 of a pipe.

    What is no file of the system's, such as the content of an envelope, has a ``read_at`` and a ``size`` of its own.
    The function keeps the file open.
    """
    own = getattr(file, "read_at", None)
    if own is not None:
        return own, file.size  # type: ignore[attr-defined]
    status = os.fstat(file.fileno())
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return lambda offset, length: read_at(file.fileno(), offset, length), size


class Buffers:
    """Memory to read into, used in turn: what was read is there until ``kept`` more have been read.

    New memory for each read is cleared by the kernel page by page, which takes as long as reading out of its cache.
    """

    def __init__(self, kept: int, size: int) -> None:
        self._all = deque(memoryview(bytearray(size)) for _ in range(kept + 1))

    def read(self, file: io.RawIOBase, offset: int, size: int) -> memoryview:
        """Up to ``size`` bytes at ``offset``, none at the end of the file; this moves the file's own position."""
        self._all.rotate(1)
        buffer = self._all[0]
        file.seek(offset)
        count: int = file.readinto(buffer[:size]) or 0
        return buffer[:count]


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
    descriptor: int, size: int, start: int = 0, on_progress: Callable[[int], object] = lambda _: None
) -> Iterator[Extent]:
    """The runs of pages that are not all zero, from ``start`` to ``size``: the same wherever the file is stored.

    ``on_progress`` is called with the number of bytes whenever some have been looked through.
    """
    file = io.FileIO(descriptor, closefd=False)
    yield from data_within(file, stored_extents(descriptor, size, start), size, start, on_progress)


def data_within(
    file: io.RawIOBase, extents: Iterator[Extent], size: int, start: int, on_progress: Callable[[int], object]
) -> Iterator[Extent]:
    """As ``data_extents``, of a file whose stored bytes are the ``extents``."""
    begin, end, position = start, start, start // PAGE * PAGE
    buffers = Buffers(0, CHUNK)
    for extent in extents:
        position = max(position, extent.offset // PAGE * PAGE)
        stop = min(-(-(extent.offset + extent.size) // PAGE) * PAGE, size)
        while position < stop:
            data = buffers.read(file, position, stop - position)
            if not data:
                break
            for low, high in _data_runs(data):
                if position + low > end:
                    if end > begin:
                        yield Extent(begin, end - begin)
                    begin = position + low
                end = position + high
            position += len(data)
            on_progress(len(data))
    if end > begin:
        yield Extent(begin, end - begin)


def _data_runs(data: memoryview) -> Iterator[Tuple[int, int]]:
    """Beginning and end of each run of pages in ``data`` that are not all zero; its last page may be short."""
    begin, size = 0, len(data)
    # Most pages are told from zeros by their first byte, and all first bytes are looked through at once.
    firsts = bytes(data[::PAGE])
    page = firsts.find(0)
    while page >= 0:
        at = page * PAGE
        if data[at : at + PAGE].tobytes() == _ZEROS[: min(PAGE, size - at)]:
            if at > begin:
                yield begin, at
            begin = at + PAGE
        page = firsts.find(0, page + 1)
    if begin < size:
        yield begin, size
