"""A file that was found, held open: whoever proves, reads or copies it looks at this very file."""

import os
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple, TypeVar

from corebox.files.checksum import checksum_of
from corebox.files.faults import changed

T = TypeVar("T")


class Status(NamedTuple):
    """Of a regular file: size in bytes, permission bits, time of the last change in whole seconds, not negative."""

    size: int
    mode: int
    mtime: int


class OpenFile:
    """A regular file; ``name`` is what messages call it, ``status`` and ``inode`` are as when it was found.

    Args:
        name: its path on this machine.
        descriptor: of it, and now owned by this.
        status: what is to be told of it, if it is a copy.
        reopen: gives another descriptor of a file that has been closed meanwhile.
    """

    def __init__(
        self,
        name: str,
        descriptor: int,
        status: Optional[Status] = None,
        reopen: Optional[Callable[["OpenFile"], int]] = None,
    ) -> None:
        found = os.fstat(descriptor)
        self.name = name
        self.status = status or status_of(found)
        self.inode = (found.st_dev, found.st_ino)
        self._stamp = _stamp(found)
        self._descriptor = descriptor
        self._reopen = reopen
        self._made: Dict[object, Any] = {}
        self._checksum: Optional[int] = None

    def fileno(self) -> int:
        """The descriptor, whose position means nothing.

        Raises:
            InputError: ``file-changed`` if the file was closed, and is not there any more as it was.
        """
        if self._descriptor < 0 and self._reopen:
            try:
                self._descriptor = self._reopen(self)
            except OSError as error:
                raise changed(self.name) from error
            self.check_unchanged()
        return self._descriptor

    def check_unchanged(self) -> None:
        """Check that nobody has written to the file since it was found.

        Raises:
            InputError: ``file-changed``.
        """
        *content, links, changed_at = _stamp(os.fstat(self.fileno()))
        *content_before, links_before, changed_before = self._stamp
        # Who removes the file, or puts another in its place, changes its inode as well, and nothing that we read.
        if content != content_before or (changed_at != changed_before and links >= links_before):
            raise changed(self.name)

    def once(self, read: "Callable[[OpenFile], T]") -> T:
        """What ``read`` makes of this file, which it does once."""
        if read not in self._made:
            self._made[read] = read(self)
        made: T = self._made[read]
        return made

    @property
    def checksum(self) -> int:
        """Its CRC-32, for which all of it is read, once."""
        if self._checksum is None:
            self._checksum = checksum_of(self.fileno())
        return self._checksum

    def close(self) -> None:
        """Close it; one that can be opened again will be when somebody asks for it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def status_of(found: os.stat_result) -> Status:
    """What of a file's status a bundle tells."""
    return Status(found.st_size, found.st_mode & 0o777, max(0, int(found.st_mtime)))


def _stamp(found: os.stat_result) -> Tuple[int, ...]:
    """What no writer can leave as it was: nobody sets the time of the last change of the inode."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_nlink, found.st_ctime_ns
