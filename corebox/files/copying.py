"""Copying between descriptors."""

import errno
import os


def copy_range(source: int, offset: int, size: int, target: int) -> None:
    """Copy within the kernel to the current position of ``target``; raises OSError if the source ends early."""
    while size:
        copied = os.sendfile(target, source, offset, min(size, 1 << 30))
        if not copied:
            raise OSError(errno.EIO, "the core became shorter while it was copied")
        offset += copied
        size -= copied


def write_all(target: int, data: bytes) -> None:
    """Write all of ``data`` at the current position."""
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def write_at(target: int, data: bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset``."""
    while data:
        written = os.pwrite(target, data, offset)
        data, offset = data[written:], offset + written
