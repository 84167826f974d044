"""Looks a file through for pages of zeros in a child process, while this one has other things to do first.

Not in a thread: Python's lock is held by what we do meanwhile, and between two reads by the search.
"""

import contextlib
import os
import signal
import stat
import struct
from typing import BinaryIO, Callable, Iterator, Optional, Tuple

from corebox.files.extents import Extent, data_extents

#: Below, the search takes no longer than to start a process.
MIN_SIZE = 64 << 20
_RECORD = struct.Struct("<QQ")
#: In the place of an offset: the size is of what was looked through, or all was.
_LOOKED, _ALL = (1 << 64) - 1, (1 << 64) - 2
_STEP = 16 << 20


class Ahead:
    """The search in a file; ``stamp`` is what that was when it began."""

    def __init__(self, stamp: Tuple[int, ...], records: BinaryIO) -> None:
        self._stamp = stamp
        self._records: Optional[BinaryIO] = records

    def extents(self, descriptor: int, size: int, on_progress: Callable[[int], object]) -> Iterator[Extent]:
        """As ``data_extents`` of the open file: what the child has found, if it is the same file and the first time."""
        records, self._records = self._records, None
        end = 0
        while records and _stamp(descriptor) == self._stamp:
            record = records.read(_RECORD.size)
            if len(record) < _RECORD.size:
                break  # the child was killed
            offset, count = _RECORD.unpack(record)
            if offset == _ALL:
                return
            if offset == _LOOKED:
                on_progress(count)
            else:
                yield Extent(offset, count)
                end = offset + count
        yield from data_extents(descriptor, size, end, on_progress)


@contextlib.contextmanager
def looking_ahead(path: Optional[str], nice: int) -> Iterator[Optional[Ahead]]:
    """The search in the file at ``path``, with ``nice`` added to the child's; None if it is not a large file.

    The child ends with the block at the latest.
    """
    descriptor = _open_large(path) if path else None
    if descriptor is None:
        yield None
        return
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.nice(nice)
            _look(descriptor, writing)
        finally:
            os._exit(0)
    os.close(writing)
    stamp = _stamp(descriptor)
    os.close(descriptor)
    try:
        with open(reading, "rb") as records:
            yield Ahead(stamp, records)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _open_large(path: str) -> Optional[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None  # whoever opens it next says what is wrong
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and 512 * status.st_blocks >= MIN_SIZE:
        return descriptor
    os.close(descriptor)
    return None


def _stamp(descriptor: int) -> Tuple[int, ...]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _look(descriptor: int, writing: int) -> None:
    """In the child: write a record for each run, and now and then how much was looked through."""
    looked = 0
    with open(writing, "wb") as records:

        def on_progress(count: int) -> None:
            nonlocal looked
            looked += count
            if looked >= _STEP:
                records.write(_RECORD.pack(_LOOKED, looked))
                looked = 0
                records.flush()  # and so it ends when nobody reads any more

        for extent in data_extents(descriptor, os.fstat(descriptor).st_size, 0, on_progress):
            records.write(_RECORD.pack(*extent))
        records.write(_RECORD.pack(_LOOKED, looked) + _RECORD.pack(_ALL, 0))
