"""Files that appear complete or not at all, and locks between processes."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from corebox.errors import HostError


@contextlib.contextmanager
def explained(home: Path) -> Iterator[None]:
    """Turn an OSError of the body into a HostError ``no-space`` or ``store-unusable``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some with `corebox prune`, or set COREBOX_HOME to a directory on another disk"
            raise HostError("no-space", f"not enough space in {home}", hint) from error
        hint = "check its permissions, or set COREBOX_HOME to a directory of yours"
        raise HostError("store-unusable", f"cannot use the store {home}: {error}", hint) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file under a temporary name beside ``path`` and rename it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock file ``path`` (flock(2): released by the kernel when the process dies)."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """A descriptor that holds the lock until it is closed, or None if another process is in the way."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


class Workplace:
    """Temporary directories of running processes; those of dead ones are found by their free locks and removed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def clean(self) -> None:
        """Remove what processes that died left behind."""
        for lock in self._directory.glob("*.lock"):
            descriptor = try_lock(lock)
            if descriptor is not None:
                _remove(lock)
                os.close(descriptor)

    @contextlib.contextmanager
    def directory(self) -> Iterator[Path]:
        """A new directory, removed at the end."""
        descriptor, lock = self._new_lock()
        path = lock.with_suffix("")
        try:
            path.mkdir(mode=0o700)
            yield path
        finally:
            _remove(lock)
            os.close(descriptor)

    def _new_lock(self) -> tuple[int, Path]:
        while True:
            descriptor, name = tempfile.mkstemp(dir=self._directory, suffix=".lock")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Between the two calls `clean` of another process may have taken the lock for a dead one's.
            if os.fstat(descriptor).st_nlink:
                return descriptor, Path(name)
            os.close(descriptor)


def _remove(lock: Path) -> None:
    """Remove a directory and its lock; the lock stays if the directory does, for the next to try again.

    A child of a process that was killed may still write there.
    """
    directory = lock.with_suffix("")
    shutil.rmtree(directory, ignore_errors=True)
    if not directory.exists():
        lock.unlink(missing_ok=True)
