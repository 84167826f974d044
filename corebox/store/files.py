"""Files that appear complete or not at all, and locks between processes."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from corebox.errors import HostError
from corebox.files.temporary import replaceable, temporary_directory

#: How flock(2) fails on a file system without locks: NFS without its lock daemon, or mounted so; old FUSE ones.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def explained(home: Path) -> Iterator[None]:
    """Turn an OSError of the body into a HostError ``no-space`` or ``store-unusable``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some with `corebox prune`, or set COREBOX_HOME to a directory on another disk"
            raise HostError("no-space", f"not enough space in {home}", hint) from error
        hint = "check its permissions, or set COREBOX_HOME to another directory"
        if error.errno in _NO_LOCKS and error.filename is None:
            hint = "set COREBOX_HOME to a directory whose file system has locks (flock), e.g. a local one"
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        raise HostError("store-unusable", f"cannot use the store {home}: {where}{error.strerror}", hint) from error


def write_atomically(path: Path, data: bytes, scratch: Path) -> None:
    """Write a small file in the directory ``scratch``, which is on the same disk, and rename it."""
    with temporary_directory(str(scratch)) as place:
        new = Path(place) / path.name
        new.touch(0o600)
        new.write_bytes(data)
        new.replace(path)


@contextlib.contextmanager
def new_name(out: Path) -> Iterator[Path]:
    """A name beside ``out`` that nothing has; a file of that name is removed at the end.

    Raises:
        HostError: ``cannot-write``, also for what is there and no file: a device would be replaced by root.
    """
    out = Path(replaceable(str(out)))
    try:
        with temporary_directory(str(out.parent)) as folder:
            yield Path(folder) / out.name
    except OSError as error:
        raise HostError(
            "cannot-write",
            f"cannot write {out}: {error.strerror or error}",
            f"check the folder: ls -ld {out.parent}; or give another file",
        ) from error


def remove_stale(folder: Path, age: float, *, dry: bool = False) -> int:
    """Remove the files beneath ``folder`` that were not touched for ``age`` seconds; return the bytes freed.

    With ``dry`` nothing is removed.
    """
    freed = 0
    for path in folder.rglob("*"):
        status = path.lstat()
        if not path.is_dir() and time.time() - status.st_mtime > age:
            freed += min(status.st_size, status.st_blocks * 512)  # a sparse one has less than it says
            if not dry:
                path.unlink(missing_ok=True)
    return freed


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


def stat_of(files: Iterable[Path]) -> list[list[int]]:
    """What tells whether files are still the same ones, untouched."""
    return [[each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns] for each in map(os.stat, files)]
