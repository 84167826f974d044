"""What the crash handler leaves on the disk: never more than was permitted, and a line in its log for each outcome."""

import contextlib
import fcntl
import os
import re
import stat
import time
from collections import Counter
from typing import Iterator, List, NamedTuple

from corebox.bundle.layout import SUFFIX
from corebox.printable import format_size, printable

LOG = "handler.log"
HOURS, QUEUE = "hours", "queue"
RAW = ".core"
#: NAME-PID-TIME: bundles, encrypted or not, and raw cores. Whatever else is in the directory is somebody else's.
_KEPT = re.compile(
    r"[A-Za-z0-9_+][A-Za-z0-9._+-]*-[0-9]{{1,10}}-[0-9]{{1,12}}({0}(\.age|\.enc)?|\.core)\Z".format(re.escape(SUFFIX))
)
#: HOUR.USER.PROGRAM.NUMBER or .count; .done was added by a handler that was ended before it removed the file.
_HOUR_FILE = re.compile(r"([0-9]+)\.[0-9]+\.[0-9]+-[0-9]+\.([0-9]+|count)(\.done)*\Z")
#: USER.NUMBER or USER.running.NUMBER.
_USERS_PLACE = re.compile(r"[0-9]+\.(running\.)?[0-9]+\Z")
_MAX_LOG_LENGTH = 1 << 20
_HOUR = 3600


class Limits(NamedTuple):
    """Most bundles and raw cores, most bytes of them, and the bytes of the disk that stay free for others."""

    bundles: int
    size: int
    keep_free: int = 0


class Kept(NamedTuple):
    """A bundle or a raw core; ``size`` is what it takes on the disk, ``time`` in seconds since 1970."""

    time: float
    size: int
    path: str


def kept_files(directory: str) -> List[Kept]:
    """Everything that the handler has left there, known by its name, the newest first."""
    found = []
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        with contextlib.suppress(FileNotFoundError):  # another handler was faster
            if _KEPT.match(name):
                status = os.lstat(path)
                if stat.S_ISREG(status.st_mode):
                    found.append(Kept(status.st_mtime, status.st_blocks * 512, path))
    return sorted(found, reverse=True)


def program_of(path: str) -> str:
    """The program that the file is of, by its name: NAME-PID-TIME."""
    return os.path.basename(path).rsplit("-", 2)[0]


def first_to_go(kept: List[Kept]) -> Kept:
    """The oldest file of the program that has most: what crashes again and again does not drive out all others."""
    numbers = Counter(program_of(each.path) for each in kept)
    return min(kept, key=lambda each: (-numbers[program_of(each.path)], each))


def surplus(kept: List[Kept], limits: Limits) -> List[str]:
    """What is over the limits, in the order in which it goes; the newest always stays."""
    newest, *others = kept or [Kept(0.0, 0, "")]
    over = []
    while others and (len(others) >= limits.bundles or newest.size + sum(each.size for each in others) > limits.size):
        gone = first_to_go([newest, *others])
        gone = first_to_go(others) if gone == newest else gone
        others.remove(gone)
        over.append(gone.path)
    return over


def enforce(directory: str, limits: Limits, newest: str) -> None:
    """Remove what is over the limits, and then the oldest until enough of the disk is free; never ``newest``."""
    for path in surplus(kept_files(directory), limits):
        if path != newest:
            _remove(directory, path, "over the limit")
    make_room(directory, limits, newest)


def make_room(directory: str, limits: Limits, newest: str, wanted: int = 0) -> bool:
    """Remove files until ``wanted`` bytes can be written and enough is free still; False if that cannot be."""
    others = [kept for kept in kept_files(directory) if kept.path != newest]
    while others and not _has_room(directory, limits, wanted):
        gone = first_to_go(others)
        others.remove(gone)
        _remove(directory, gone.path, "less than {} is free on the disk".format(format_size(limits.keep_free)))
    return _has_room(directory, limits, wanted)


def _has_room(directory: str, limits: Limits, wanted: int) -> bool:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize >= limits.keep_free + wanted


def _remove(directory: str, path: str, why: str) -> None:
    """Remove a file, unless another handler is writing it."""
    with contextlib.suppress(OSError):
        _unlink_unlocked(path)
        write_log(directory, "removed {}: {}".format(os.path.basename(path), why))


def write_log(directory: str, text: str) -> None:
    """One line, whatever is in the text. A log that has grown becomes handler.log.1, in place of the one before."""
    line = "{} {}\n".format(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), printable(text))
    path = os.path.join(directory, LOG)
    with contextlib.suppress(FileNotFoundError):
        if os.path.getsize(path) > _MAX_LOG_LENGTH:
            os.replace(path, path + ".1")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        file.write(line.encode("utf-8", "backslashreplace"))  # one write: lines of several handlers do not mix


def close_hours(directory: str, now: float) -> None:
    """Log the number of crashes that were only counted in hours that are over, and remove what counted them.

    The handler's script makes a file ``HOUR.USER.PROGRAM.NUMBER`` for each crash that becomes a bundle, and writes a
    line with the program's name to ``HOUR.USER.PROGRAM.count`` for each that does not.
    """
    for name, hour in _past_hours(os.path.join(directory, HOURS), int(now) // _HOUR):
        path = os.path.join(directory, HOURS, name)
        with contextlib.suppress(OSError):  # another handler was faster
            done = path + ".done"
            os.rename(path, done)
            if name.endswith(".count"):
                _log_count(directory, done, hour)
            os.unlink(done)


def close_queue(directory: str) -> None:
    """Remove the places of users who have had no crash for an hour."""
    place = os.path.join(directory, QUEUE)
    now = time.time()
    with contextlib.suppress(OSError):
        for name in os.listdir(place):
            path = os.path.join(place, name)
            with contextlib.suppress(OSError):  # somebody waits there, or another handler was faster
                if _USERS_PLACE.match(name) and now - os.lstat(path).st_mtime > _HOUR:
                    _unlink_unlocked(path)


def _unlink_unlocked(path: str) -> None:
    """Remove a file unless another handler holds its lock; that is an OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(descriptor)


def _past_hours(place: str, current: int) -> Iterator["tuple[str, int]"]:
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(place)):
            match = _HOUR_FILE.match(name)
            if match and int(match.group(1)) < current:
                yield name, int(match.group(1))


def _log_count(directory: str, path: str, hour: int) -> None:
    with open(path, "rb") as file:
        first, number = os.fsdecode(file.readline()).strip(), 1 + sum(1 for _ in file)
    began = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(hour * _HOUR))
    write_log(directory, "{}: {} crashes in the hour from {} were only counted".format(first, number, began))
