"""Finds files under a root on disk (``/``, a mounted system, a container's tree, an unpacked bundle), never outside."""

import os
import stat
from typing import Dict, NamedTuple, Optional, Tuple

from corebox.bundle.rootfs import resolve


class DiskFile(NamedTuple):
    """A regular file: where to open it on this machine, size in bytes, permission bits, whole seconds."""

    disk_path: str
    size: int
    mode: int
    mtime: int
    inode: Tuple[int, int]


class Lookup(NamedTuple):
    """What a name leads to: canonical path, links (path, target) on the way, and the file or why there is none."""

    path: str
    links: Tuple[Tuple[str, str], ...]
    file: Optional[DiskFile]
    why: Optional[str]


class DiskRoot:
    """A directory seen as the root of a file system; symbolic links are read as a process inside would read them."""

    def __init__(self, directory: str) -> None:
        self._directory = os.path.abspath(directory).rstrip("/")
        self._links: Dict[str, Optional[str]] = {}

    def disk_path(self, path: str) -> str:
        """Where the canonical ``path`` lies on this machine."""
        return self._directory + path

    def read_link(self, path: str) -> Optional[str]:
        """The target of the symbolic link at canonical ``path``, or None if there is none."""
        if path not in self._links:
            try:
                self._links[path] = os.readlink(self.disk_path(path)) or None
            except OSError:
                self._links[path] = None
        return self._links[path]

    def find(self, name: str) -> Lookup:
        """Look up the absolute ``name``; it is a finding, not an error, when nothing is there."""
        resolution = resolve(name, self.read_link)
        if resolution is None:
            return Lookup(name, (), None, "too many symbolic links")
        path, disk_path = resolution.path, self.disk_path(resolution.path)
        try:
            status = os.lstat(disk_path)
        except OSError as error:
            return Lookup(path, resolution.links, None, _reason(error))
        if not stat.S_ISREG(status.st_mode):
            return Lookup(path, resolution.links, None, "not a regular file")
        if not os.access(disk_path, os.R_OK):
            return Lookup(path, resolution.links, None, "not readable for this user")
        return Lookup(path, resolution.links, _file(disk_path, status), None)


def _file(disk_path: str, status: os.stat_result) -> DiskFile:
    time = max(0, int(status.st_mtime))
    return DiskFile(disk_path, status.st_size, status.st_mode & 0o777, time, (status.st_dev, status.st_ino))


def stat_file(disk_path: str) -> Optional[DiskFile]:
    """The regular file that opening ``disk_path`` gives (a link of /proc is followed), or None."""
    try:
        status = os.stat(disk_path)
    except OSError:
        return None
    return _file(disk_path, status) if stat.S_ISREG(status.st_mode) and os.access(disk_path, os.R_OK) else None


def _reason(error: OSError) -> str:
    return {"FileNotFoundError": "no such file", "NotADirectoryError": "no such file"}.get(
        type(error).__name__, (error.strerror or str(error)).lower()
    )
