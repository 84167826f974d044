"""The mount table, for what lies beneath a root: which names are no files on disk, and which may never answer."""

import contextlib
import os
import re
from typing import Iterable, Iterator, NamedTuple, Optional, Set, Tuple

#: Looked up here, these lead to the process that looks, not to the one that crashed (proc(5)).
_ALWAYS_VIRTUAL = ("/proc", "/sys", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr")
_VIRTUAL = {"proc", "sysfs", "devpts", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "configfs", "mqueue"}
#: A process or a machine answers for these, and it may have been the one that crashed.
_SLOW = {
    *("fuse", "fuseblk", "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "autofs", "9p"),
    *("lustre", "beegfs", "gpfs", "gfs2", "ocfs2", "orangefs", "ncpfs"),
}


class Mounts(NamedTuple):
    """Paths as seen from the root: ``virtual`` hold no files on disk, ``slow`` may take for ever to answer."""

    virtual: Tuple[str, ...] = _ALWAYS_VIRTUAL
    slow: Tuple[str, ...] = ()

    def virtual_at(self, path: str) -> Optional[str]:
        """The one of ``virtual`` that canonical ``path`` is in or beneath."""
        return _holder(path, self.virtual)

    def slow_at(self, path: str) -> Optional[str]:
        """The one of ``slow`` that canonical ``path`` is in or beneath."""
        return _holder(path, self.slow)


def read_mounts(root: str) -> Mounts:
    """The mounts beneath the directory ``root``, which may be that of a process: ``/proc/PID/root``.

    Where the process is held open, it is ``/proc/self/fd/N/root``. The root itself is none of the mounts: without an
    answer from there nothing can be gathered anyway.
    """
    process = re.match(r"(/proc/(?:self/fd/)?[0-9]+)/root(/.*)?\Z", root)
    try:
        with open((process.group(1) if process else "/proc/self") + "/mountinfo", "rb") as file:
            lines = [os.fsdecode(line) for line in file]
    except OSError:
        return Mounts()
    return parse_mounts(lines, process.group(2) or "" if process else os.path.realpath(root))


def parse_mounts(lines: Iterable[str], root: str = "") -> Mounts:
    """The mounts beneath ``root`` out of the lines of a table, ``/proc/PID/mountinfo`` of proc(5)."""
    prefix = root.rstrip("/") + "/"
    found = [(path[len(prefix) - 1 :], kind) for path, kind in _parse(lines) if path.startswith(prefix) and path != "/"]
    virtual = [path for path, kind in found if kind in _VIRTUAL]
    slow = [path for path, kind in found if kind.split(".")[0] in _SLOW]
    return Mounts(tuple(dict.fromkeys((*_ALWAYS_VIRTUAL, *virtual))), tuple(slow))


def answering_devices(process: str) -> Set[Tuple[int, int]]:
    """Major and minor number of each file system that answers by itself, mounted for us or for the process in /proc.

    A mapped file of another one must not be opened: a FUSE server may be gone, or never answer on purpose.
    """
    found = set()
    for table in (process + "/mountinfo", "/proc/self/mountinfo"):
        with contextlib.suppress(OSError), open(table, "rb") as file:
            for line in file:
                fields = os.fsdecode(line).split(" ")
                if "-" in fields[6:-1] and fields[fields.index("-", 6) + 1].split(".")[0] not in _SLOW:
                    major, minor = fields[2].split(":")
                    found.add((int(major), int(minor)))
    return found


def _parse(lines: Iterable[str]) -> Iterator[Tuple[str, str]]:
    """Mount point and type of each file system; blanks in the former are written as octal numbers."""
    for line in lines:
        fields = line.rstrip("\n").split(" ")  # other blanks are not written as numbers
        if "-" in fields[6:-1]:
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4])
            yield point, fields[fields.index("-", 6) + 1]


def _holder(path: str, mounts: Tuple[str, ...]) -> Optional[str]:
    return next((mount for mount in mounts if path == mount or path.startswith(mount + "/")), None)
