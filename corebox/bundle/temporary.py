"""Temporary directories that outlive nobody: those of processes that were killed are removed by the next one."""

import contextlib
import fcntl
import glob
import os
import secrets
import shutil
from typing import Iterator

_PREFIX = ".corebox-tmp-"


@contextlib.contextmanager
def temporary_directory(parent: str) -> Iterator[str]:
    """A new directory in ``parent``, 0700, removed at the end; what dead processes left in ``parent`` goes first.

    A living process holds the lock of its directory (flock(2): released by the kernel when the process dies).
    """
    remove_abandoned(parent)
    with contextlib.ExitStack() as stack:
        yield _make(parent, stack)


def remove_abandoned(parent: str) -> None:
    """Remove the directories in ``parent`` whose processes have died."""
    for path in glob.iglob(os.path.join(glob.escape(parent), _PREFIX + "*")):
        with contextlib.suppress(OSError):
            descriptor = _lock(path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)


def is_abandoned(path: str) -> bool:
    """Whether the process has died that made this directory: then nobody holds its lock, or it is gone already."""
    try:
        os.close(_lock(path))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _make(parent: str, stack: contextlib.ExitStack) -> str:
    while True:
        path = os.path.join(parent, _PREFIX + secrets.token_hex(8))
        # Said before there is a directory, so that it goes whenever we are interrupted. What a child of a killed
        # process still writes into makes this fail; the next one tries again.
        stack.callback(shutil.rmtree, path, ignore_errors=True)
        os.mkdir(path, 0o700)
        try:
            stack.callback(os.close, _lock(path))
        except (BlockingIOError, FileNotFoundError):
            continue  # another process has just taken it for a dead one's
        except OSError:
            return path  # NFS locks no directories; nobody removes it then
        if os.path.isdir(path):
            return path


def _lock(path: str) -> int:
    """A descriptor that holds the lock of the directory; an OSError if somebody else holds it, or it is gone."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
