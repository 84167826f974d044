"""Which bytes of a file are stored and which are holes (lseek(2), SEEK_DATA and SEEK_HOLE)."""

import errno
import os
from typing import Iterator

from corebox.coredump.values import Extent


def iter_extents(descriptor: int, size: int) -> Iterator[Extent]:
    """Yield the stored runs of the file of ``size`` bytes in ascending order; the file's position moves.

    A file system that knows no holes reports one run over the whole file.
    """
    offset = 0
    while offset < size:
        try:
            start = os.lseek(descriptor, offset, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data behind this offset
                return
            if error.errno == errno.EINVAL:  # the file system knows neither
                yield Extent(offset, size - offset)
                return
            raise
        if start >= size:
            return
        yield Extent(start, min(end, size) - start)
        offset = end
