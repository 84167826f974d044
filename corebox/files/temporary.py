"""Temporary directories that outlive nobody: those of processes that were killed are removed by the next one."""

import contextlib
import fcntl
import glob
import os
import stat
from typing import Iterator

from corebox.errors import HostError

#: What is open in this process; a file there is replaced for all, not for whoever redirected it to us.
_MAX_LINKS = 40
_NAMES_OF_OPEN_FILES = ("/proc/", "/dev/")
_NOT_DEVICES = "/dev/shm/"  # noqa: S108 -- ordinary files in memory

_PREFIX = ".corebox-tmp-"
_IN_MEMORY = 64 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextlib.contextmanager
def temporary_directory(parent: str, guarded: bool = False) -> Iterator[str]:
    """A new directory in ``parent``, 0700, removed at the end; what dead processes left in ``parent`` goes first.

    ``guarded`` is for a parent that the user names, which may be another user's: then it has a name that nobody can
    give to another directory.

    A living process holds the lock of its directory (flock(2): released by the kernel when the process dies).
    """
    remove_abandoned(parent)
    with contextlib.ExitStack() as stack:
        yield _make(parent, stack, guarded)


def unnamed_file(parent: str, size: int) -> int:
    """A descriptor of a new file that has no name and ends with it: in memory if it is small, else in ``parent``.

    Raises:
        HostError: ``cannot-write``.
    """
    with contextlib.suppress(OSError):
        memory = os.statvfs(_NOT_DEVICES)
        if size <= _IN_MEMORY and 2 * size <= memory.f_bavail * memory.f_frsize:
            return os.open(_NOT_DEVICES, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):
            return os.open(parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        path = os.path.join(parent, _PREFIX + _new_name())  # NFS and others have none without a name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.unlink(path)
    except OSError as error:
        message = "cannot write into {}: {}".format(parent, error.strerror)
        raise HostError("cannot-write", message, "choose another place with -o") from error
    return descriptor


def remove_abandoned(parent: str) -> None:
    """Remove this user's directories in ``parent`` whose processes have died; those of others are not even opened."""
    for path in glob.iglob(os.path.join(glob.escape(parent), _PREFIX + "*")):
        with contextlib.suppress(OSError):
            if os.lstat(path).st_uid == os.geteuid():
                descriptor = _lock(path)
                remove_tree(path)
                os.close(descriptor)


def remove_tree(path: str) -> None:
    """Remove the directory with all that is in it, as far as the system permits; no symbolic link is followed.

    However deep it is: the directories of the second level move to the first, over and over, so that there are never
    more than two open and nothing calls itself. ``shutil.rmtree`` does, and Python permits that 1,000 times.
    """
    with contextlib.suppress(OSError):
        top = os.open(path, _DIRECTORY)
        try:
            while sum(_remove_entry(top, name) for name in os.listdir(top)):
                pass  # until nothing changes: it is empty, or the system permits no more
        finally:
            os.close(top)
        os.rmdir(path)


def _remove_entry(top: int, name: str) -> bool:
    """Remove what ``name`` is in the directory ``top``, and say whether that has changed anything."""
    try:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
            os.unlink(name, dir_fd=top)
            return True
        child = os.open(name, _DIRECTORY, dir_fd=top)
    except OSError:
        return False
    try:
        changed = sum(_lift(child, each, top) for each in os.listdir(child)) > 0
    finally:
        os.close(child)
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=top)
        return True
    return changed


def _lift(child: int, name: str, top: int) -> bool:
    """Remove a file from the directory ``child``; a directory moves from there to ``top``."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(name, dir_fd=child).st_mode):
            os.rename(name, _new_name(), src_dir_fd=child, dst_dir_fd=top)
        else:
            os.unlink(name, dir_fd=child)
        return True
    return False


def is_abandoned(path: str) -> bool:
    """Whether the process has died that made this directory: then nobody holds its lock, or it is gone already."""
    try:
        os.close(_lock(path))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _new_name() -> str:
    """As ``secrets.token_hex`` gives it, which brings all of ``random`` with it."""
    return os.urandom(8).hex()


def _make(parent: str, stack: contextlib.ExitStack, guarded: bool) -> str:
    while True:
        path = os.path.join(parent, _PREFIX + _new_name())
        # Said before there is a directory, so that it goes whenever we are interrupted. What a child of a killed
        # process still writes into makes this fail; the next one tries again.
        stack.callback(remove_tree, path)
        os.mkdir(path, 0o700)
        try:
            stack.callback(os.close, _lock(path))
        except (BlockingIOError, FileNotFoundError):
            continue  # another process has just taken it for a dead one's
        except OSError:  # NFS locks no directories; nobody removes it then
            pass
        else:
            if not os.path.isdir(path):
                continue
        return _by_descriptor(path, stack) if guarded and not is_safe(parent) else path


def _by_descriptor(path: str, stack: contextlib.ExitStack) -> str:
    """A name of the directory that nobody can give to another one, where another user can rename ``path``."""
    swapped = HostError(
        "cannot-write",
        "another user has replaced {}".format(path),
        "write to a folder that no other user can write to: -o",
    )
    try:
        descriptor = os.open(path, _DIRECTORY)
    except OSError as error:
        raise swapped from error
    stack.callback(os.close, descriptor)
    if os.fstat(descriptor).st_uid != os.geteuid():
        raise swapped
    return "/proc/{}/fd/{}".format(os.getpid(), descriptor)


def is_safe(folder: str) -> bool:
    """Whether nobody but root and ourselves can put another thing in the place of what is in the folder."""
    writable = 0o022 if os.geteuid() == 0 else 0o002
    place = os.path.realpath(folder)
    while True:
        status = os.lstat(place)
        others = status.st_mode & writable and not status.st_mode & stat.S_ISVTX
        if others or status.st_uid not in (0, os.geteuid()):
            return False
        if place == "/":
            return True
        place = os.path.dirname(place)


def _lock(path: str) -> int:
    """A descriptor that holds the lock of the directory; an OSError if somebody else holds it, or it is gone."""
    descriptor = os.open(path, _DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def replaceable(out: str) -> str:
    """The file that writing to ``out`` would replace: behind a symbolic link the one that it names.

    Raises:
        HostError: ``cannot-write`` for a device, a pipe or a directory, and for what stands for an open file:
            /dev/stdout would itself be replaced, for everybody.
    """
    place = os.path.abspath(out)
    for _ in range(_MAX_LINKS):
        if place.startswith(_NAMES_OF_OPEN_FILES) and not place.startswith(_NOT_DEVICES):
            break
        if not os.path.islink(place):
            if os.path.isfile(place) or not os.path.exists(place):
                return place
            break
        if os.lstat(place).st_uid not in (0, os.geteuid()):
            break  # another user has chosen where it leads
        place = os.path.join(os.path.realpath(os.path.dirname(place)), os.readlink(place))
    raise HostError("cannot-write", "{} is not a regular file".format(out), "give the name of a file")
