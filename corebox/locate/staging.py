"""A folder that becomes the root of a crash's files: each is put where the process saw it, never outside."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from corebox.files.paths import is_canonical, resolve

_PLAIN_MODES = 0o777


class Staging:
    """The root ``folder``, which is ours alone; there may be files and relative links of a bundle in it already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, name: str) -> str | None:
        """The canonical path that the absolute ``name`` leads to in the root; None for a name that leads nowhere."""
        resolution = resolve(name, self._link) if name.startswith("/") and "\0" not in name else None
        return resolution.path if resolution and is_canonical(resolution.path) else None

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        path = self.path_of(name)
        return path is not None and self._real(path).is_file()

    def put(self, name: str, source: int, status: os.stat_result) -> str | None:
        """Copy an open file to ``name``, in the place of what is there.

        Args:
            name: absolute, as the core has it.
            source: a descriptor, read from its beginning.
            status: of which the permission bits and the time are taken.

        Returns:
            Its canonical path; None where it cannot be: the parent is a file, or the name too long.
        """
        path = self.path_of(name)
        if path is None:
            return None
        target = self._real(path)
        with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            with os.fdopen(os.dup(source), "rb") as reading, target.open("xb") as writing:
                reading.seek(0)
                shutil.copyfileobj(reading, writing, 1 << 20)
                os.fchmod(writing.fileno(), status.st_mode & _PLAIN_MODES | 0o400)
            os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
            return path
        return None

    def restore(self, name: str, mode: int, mtime: int) -> None:
        """Give a file that is there the permission bits and the time that it had."""
        path = self.path_of(name)
        if path is not None and self._real(path).is_file():
            self._real(path).chmod(mode | 0o400)
            os.utime(self._real(path), (mtime, mtime))

    def link(self, name: str, target: str) -> bool:
        """Make a symbolic link, where nothing is; a link that leads out of the root is none for whoever reads it."""
        parent = str(Path(name).parent)
        path = parent if parent == "/" else self.path_of(parent)  # the root is no file's path
        place = self._real(path or "/") / Path(name).name
        if path is None or os.path.lexists(place):
            return False
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
            return True
        return False

    def _real(self, path: str) -> Path:
        return self.folder / path[1:]

    def _link(self, path: str) -> str | None:
        try:
            return str(self._real(path).readlink())
        except OSError:
            return None
