"""Files of this machine that a sandbox is to read: an engine's user may be another than who calls it."""

import os
import stat
import tempfile
from pathlib import Path
from typing import NamedTuple

from corebox.engine.base import Engine
from corebox.errors import InputError
from corebox.files.faults import not_a_file


class Sharing(NamedTuple):
    """Shares files with sandboxes of ``engine``; copies go to the folder ``work``, which lasts for the session."""

    engine: Engine
    work: Path

    def share(self, path: Path) -> Path:
        """``path``, or a sparse copy if only root could read it and the engine's user is not root.

        Cores are 0600.

        Raises:
            InputError: ``no-such-file``, ``not-a-file``, ``cannot-read``.
        """
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise not_a_file(str(path))
            if self._reads_as_we_do() or status.st_mode & stat.S_IROTH:
                return path.resolve()
            return self._copy(path)
        except FileNotFoundError as error:
            raise InputError("no-such-file", f"{path} does not exist", "check the name: ls -l") from error
        except OSError as error:
            hint = f"check owner and permissions: ls -ld {path}"
            raise InputError("cannot-read", f"cannot read {path}: {error.strerror}", hint) from error

    def share_own(self, path: Path) -> Path:
        """A file of the store's, made readable for a container's user; nobody else gets past the store's folders."""
        if not self._reads_as_we_do() and not path.stat().st_mode & stat.S_IROTH:
            path.chmod(0o644)
        return path

    def _reads_as_we_do(self) -> bool:
        """Bubblewrap reads with the caller's rights, a container does not when root calls."""
        return self.engine.name == "bubblewrap" or bool(os.getuid())

    def _copy(self, path: Path) -> Path:
        from corebox.image.export import copy_sparse  # noqa: PLC0415  # slow to import, and seldom needed

        folder = Path(tempfile.mkdtemp(dir=self.work))  # files of the same name may come from many folders
        copy = folder / path.name
        copy_sparse(path, copy)
        copy.chmod(0o444)
        folder.chmod(0o755)
        self.work.chmod(0o755)
        return copy
