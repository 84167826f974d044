"""Finds files beneath a root on disk (``/``, a mounted system, a container's tree, an unpacked bundle), never outside.

Each file is looked up and opened once. Who has found it holds it open, so that nothing put in its place afterwards is
taken for it.
"""

import contextlib
import errno
import itertools
import os
import resource
import stat
from collections import deque
from typing import Deque, Dict, Iterable, List, NamedTuple, Optional, Tuple, Union

from corebox.errors import InputError
from corebox.files.aside import Beat, StalledError, run_aside
from corebox.files.extents import stored_extents
from corebox.files.faults import changed
from corebox.files.mounts import Mounts
from corebox.files.openfile import OpenFile, Status
from corebox.files.paths import MAX_DEPTH, MAX_PATH, resolve
from corebox.files.reader import Reader, reading_as

#: Linkers leave less than this of a file unwritten, or of all files of a crash: they align to 2 MiB at the most.
_COUNTED_HOLE, _MAX_HOLE_SIZE, _MAX_HOLES = 1 << 20, 64 << 20, 256 << 20
_PATIENCE = 5.0  # seconds
_TEMPORARY = ("/var/tmp",)  # noqa: S108 -- nothing is found there by its name
_MAX_STALLED = 2
#: What other descriptors this process may need.
_SPARE = 64
_MAX_OPEN = 8192
_MAX_FOLDERS, _MAX_NAMES = 4096, 10000
_CHUNK = 1 << 20
NOT_READABLE, NOT_ITS_OWN = "not readable for this user", "not readable for the user whose crash it is"
_WORDS = {errno.ENOENT: "no such file", errno.ENOTDIR: "no such file", errno.EACCES: NOT_READABLE}


#: The symbolic links on a way: canonical path and target of each.
Links = Tuple[Tuple[str, str], ...]


class Found(NamedTuple):
    """What a name leads to: canonical path, links on the way, and the file or why there is none."""

    path: str
    links: Links
    file: Optional[OpenFile]
    why: Optional[str]


class _NotHereError(Exception):
    """Nothing is to be looked up where a name leads."""


class _SlowError(Exception):
    """A name leads into a file system that may never answer."""


class DiskRoot:
    """A directory seen as the root of a file system; symbolic links are read as a process inside would read them.

    To be used with ``with``; the files that were found are closed at the end.

    Args:
        directory: the root on this machine.
        reader: who must be able to read what is found, if not we alone.
        mounts: what lies beneath it.

    Raises:
        InputError: ``no-such-root``.
    """

    def __init__(self, directory: str, reader: Optional[Reader] = None, mounts: Optional[Mounts] = None) -> None:
        self.directory = os.path.abspath(directory).rstrip("/")
        self.reader = reader
        self._mounts = mounts or Mounts()
        try:
            self._top = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(
                "no-such-root", "{} is not a directory".format(directory), "give --root a directory"
            ) from error
        self._links: Dict[str, Union[str, int, None]] = {}
        self._found: Dict[str, Found] = {}
        self._folders: Dict[str, Tuple[str, Links, Optional[int]]] = {}
        self._open: Deque[OpenFile] = deque()
        limit = _raise_limit()
        self._most_open = max(limit // 2, limit - _SPARE)
        self._inodes: Dict[Tuple[int, int], OpenFile] = {}
        self._adopted: List[OpenFile] = []
        self._stalled: List[str] = []
        self._holes: Dict[Tuple[int, int], int] = {}

    def __enter__(self) -> "DiskRoot":
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all files."""
        for file in (*self._open, *self._adopted):
            file.close()
        os.close(self._top)

    def read_link(self, path: str) -> Optional[str]:
        """The target of the symbolic link at canonical ``path``, or None if there is none."""
        try:
            with reading_as(self.reader):
                return self._follow(path)
        except (OSError, _NotHereError, _SlowError):
            return None

    def find(self, name: str) -> Found:
        """Look up the absolute ``name``; it is a finding, not an error, when nothing is there."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def names_in(self, directory: str, most: int = _MAX_NAMES) -> List[str]:
        """The names in a directory, sorted, of more than ``most`` only some.

        None if it is not there or may not be read.
        """
        try:
            with reading_as(self.reader):
                path, _, missing = self._resolve(directory)
                if missing:
                    return []
                descriptor = self._open_beneath(path, os.O_RDONLY | os.O_DIRECTORY)
        except (OSError, _NotHereError, _SlowError):
            return []
        try:
            with os.scandir("/proc/self/fd/{}".format(descriptor)) as entries:  # by descriptor: since Python 3.7
                return sorted((each.name for each in itertools.islice(entries, most)), key=os.fsencode)
        except OSError:
            return []
        finally:
            os.close(descriptor)

    def open_all(self, paths: Iterable[str]) -> Dict[str, OpenFile]:
        """The files at these canonical paths.

        Raises:
            InputError: ``file-changed`` if one is not there.
        """
        found = {path: self.find(path).file for path in paths}
        for path, file in found.items():
            if file is None:
                raise changed(self.directory + path)
        return {path: file for path, file in found.items() if file}

    def why_not_taken(self, descriptor: int) -> Optional[str]:
        """What is wrong with an open file: a bundle holds regular files, and their holes as zeros."""
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        if status.st_size - 512 * status.st_blocks > _COUNTED_HOLE:  # or its file system compresses
            hole = status.st_size - sum(extent.size for extent in stored_extents(descriptor, status.st_size))
            self._holes[status.st_dev, status.st_ino] = hole
            if hole > _MAX_HOLE_SIZE or sum(self._holes.values()) > _MAX_HOLES:
                return "a sparse file: {} of its {} bytes are not stored".format(hole, status.st_size)
        return None

    def may_hold(self, path: str) -> bool:
        """Whether canonical ``path`` can be that of a file on disk."""
        return self._mounts.virtual_at(path) is None

    def adopt(self, file: OpenFile) -> OpenFile:
        """Close the file, which comes from elsewhere, at the end too."""
        self._adopted.append(file)
        return file

    def _find(self, name: str) -> Found:
        path, links = name, ()  # type: str, Links
        try:
            with reading_as(self.reader):
                path, links, missing = self._resolve(name)
                if missing:
                    raise missing
                known = self._found.get(path)
                return known._replace(links=links) if known else self._look(path, links)
        except _NotHereError as reason:
            return Found(path, links, None, str(reason))
        except OSError as error:
            return Found(path, links, None, self._reason(error))
        except _SlowError as slow:
            return self._find_aside(name, str(slow))

    def _resolve(self, name: str) -> Tuple[str, Links, Optional[OSError]]:
        """Where the name leads, whether something is there or not, and what the system said where nothing is.

        Many names differ in their last part only: the way to a folder is gone once.
        """
        if len(os.fsencode(name)) > MAX_PATH or name.count("/") > MAX_DEPTH:
            raise _NotHereError("its name is too long or too deep")
        folder, _, last = name.rpartition("/")
        if last in ("", ".", ".."):
            return self._walk(name)
        if folder not in self._folders:
            if len(self._folders) >= _MAX_FOLDERS:
                self._folders.clear()
            path, links, missing = self._walk(folder)
            self._folders[folder] = (path, links, missing.errno if missing else None)
        path, links, number = self._folders[folder]
        here = path.rstrip("/") + "/" + last
        if number is not None:
            return here, links, OSError(number, os.strerror(number))
        try:
            return (here, links, None) if self._follow(here) is None else self._walk(name)
        except OSError as error:
            return here, links, error

    def _walk(self, name: str) -> Tuple[str, Links, Optional[OSError]]:
        """As ``_resolve``, part by part."""
        missing = None

        def follow(path: str) -> Optional[str]:
            nonlocal missing
            if missing is None:
                try:
                    return self._follow(path)
                except OSError as error:
                    missing = error
            return None

        resolution = resolve(name, follow)
        if resolution is None:
            raise _NotHereError("too many symbolic links")
        return resolution.path, resolution.links, missing

    def _follow(self, path: str) -> Optional[str]:
        """As ``read_link``; raises OSError where nothing is, for then nothing is beneath it either."""
        if path not in self._links:
            self._check(path)
            try:
                self._links[path] = os.readlink(path[1:], dir_fd=self._top) or None
            except OSError as error:
                self._links[path] = error.errno if error.errno != errno.EINVAL else None  # not a link
        found = self._links[path]
        if isinstance(found, int):
            raise OSError(found, os.strerror(found))
        return found

    def _check(self, path: str) -> None:
        """Refuse to look up names that are none on disk."""
        virtual = self._mounts.virtual_at(path)
        if virtual:
            raise _NotHereError("a name in {}, which is not a file on disk".format(virtual))
        slow = self._mounts.slow_at(path)
        if slow:
            raise _SlowError(slow)

    def _look(self, path: str, links: Links) -> Found:
        """The file at canonical ``path``."""
        descriptor = self._open_regular(path)
        status = os.fstat(descriptor)
        inode = status.st_dev, status.st_ino
        if inode in self._inodes:  # another name of a file that is open already
            os.close(descriptor)
        else:
            self._inodes[inode] = OpenFile(
                self.directory + path, descriptor, reopen=lambda file: self._reopen(file, path)
            )
            self._hold(self._inodes[inode])
        return Found(path, links, self._inodes[inode], None)

    def _hold(self, file: OpenFile) -> None:
        if len(self._open) >= self._most_open:
            self._open.popleft().close()  # it will be opened again, and must then be the same
        self._open.append(file)

    def _reopen(self, file: OpenFile, path: str) -> int:
        with reading_as(self.reader):
            descriptor = self._open_regular(path)
        self._hold(file)
        return descriptor

    def _open_regular(self, path: str) -> int:
        descriptor = self._open_beneath(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        why = self.why_not_taken(descriptor)
        if why:
            os.close(descriptor)
            raise _NotHereError(why)
        return descriptor

    def _open_beneath(self, path: str, flags: int) -> int:
        """A descriptor of what is at canonical ``path``: no link is followed, wherever one has been put meanwhile."""
        *parents, last = path[1:].split("/")
        held = os.dup(self._top)
        try:
            for part in parents:
                below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
                os.close(held)
                held = below
            if not flags & os.O_DIRECTORY and not stat.S_ISREG(
                os.stat(last, dir_fd=held, follow_symlinks=False).st_mode
            ):
                raise _NotHereError("not a regular file")  # opening a device may do something
            return os.open(last or ".", flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
        finally:
            os.close(held)

    def _find_aside(self, name: str, mount: str) -> Found:
        """As ``find``, of a file behind a mount that may never answer: what is handed on is a copy of it."""
        silent = Found(name, (), None, "{} does not answer".format(mount))
        if mount in self._stalled or len(self._stalled) >= _MAX_STALLED:
            return silent
        import tempfile  # noqa: PLC0415  # it brings random and shutil with it

        # Not in /tmp, which is memory on many machines.
        place = os.environ.get("TMPDIR") or next((path for path in _TEMPORARY if os.access(path, os.W_OK)), None)
        try:
            with tempfile.TemporaryFile(dir=place) as copy:
                answer = run_aside(lambda beat: self._copy(name, copy.fileno(), beat), _PATIENCE, self.reader)
                path, links, status, why = answer
                links = tuple((str(link), str(target)) for link, target in links)
                if status is None:
                    return Found(str(path), links, None, str(why))
                file = OpenFile(self.directory + str(path), os.dup(copy.fileno()), Status(*map(int, status)))
                return Found(str(path), links, self.adopt(file), None)
        except StalledError:
            self._stalled.append(mount)
            return silent
        except (OSError, ValueError, TypeError) as error:
            return Found(name, (), None, self._reason(error) if isinstance(error, OSError) else str(error))

    def _copy(self, name: str, into: int, beat: Beat) -> Tuple[str, Links, Optional[Status], Optional[str]]:
        """In a process of its own: what ``find`` would tell of the name, after its content has been copied."""
        self._mounts, self.reader = self._mounts._replace(slow=()), None  # who must be able to read it, we are now
        found = self._find(name)
        if found.file is None:
            return found.path, found.links, None, found.why
        try:
            for offset in range(0, found.file.status.size, _CHUNK):
                os.pwrite(into, os.pread(found.file.fileno(), _CHUNK, offset), offset)
                beat()
            found.file.check_unchanged()
        except OSError as error:
            return found.path, found.links, None, self._reason(error)
        except InputError as error:
            return found.path, found.links, None, error.message
        return found.path, found.links, found.file.status, None

    def _reason(self, error: OSError) -> str:
        if self.reader and error.errno in (errno.EACCES, errno.EPERM):
            return "{}, {}".format(NOT_ITS_OWN, self.reader.uid)
        return _WORDS.get(error.errno or 0) or (error.strerror or str(error)).lower()


def _raise_limit() -> int:
    """As many open files as this process may have (getrlimit(2), RLIMIT_NOFILE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return min(hard, _MAX_OPEN) if hard != resource.RLIM_INFINITY else _MAX_OPEN
    return soft
