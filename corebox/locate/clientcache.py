"""The on-disk cache of elfutils' debuginfod client, shared with it both ways.

Places and control files are those of debuginfod-client-config(7). The names inside are not documented; these are those
of elfutils 0.188, of which later versions have changed the names of sources only.
"""

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

#: Control files and their defaults, in seconds.
_INTERVAL, _MAX_AGE, _MISS = ("cache_clean_interval_s", 86400), ("max_unused_age_s", 604800), ("cache_miss_s", 600)
_OURS = re.compile(r"(debuginfo|executable|source.*|section.*)")
_MAX_NAME_LENGTH = 255  # bytes, on every Linux file system


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where the client keeps its files."""
    if given := environment.get("DEBUGINFOD_CACHE_PATH"):
        return Path(given)
    home = Path(environment.get("HOME") or "/")
    old = home / ".debuginfod_client_cache"
    caches = environment.get("XDG_CACHE_HOME")
    return old if old.exists() else (Path(caches) if caches else home / ".cache") / "debuginfod_client"


def artifact_name(kind: str, path: str = "") -> str | None:
    """The name of ``debuginfo`` or ``source`` in the folder of a build ID; None if it is too long for one."""
    name = kind + path.replace("#", "#_").replace("/", "##")
    return name if len(os.fsencode(name)) + 8 <= _MAX_NAME_LENGTH else None


class ClientCache:
    """The cache in ``folder``, which is made when something is put in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, build_id: str, name: str) -> Path | None:
        """The file, or None if it is not there."""
        path = self._folder / build_id / name
        try:
            status = path.stat()
            if not status.st_size:
                return None
            os.utime(path, (time.time(), status.st_mtime))  # the client removes what was not read for long
        except OSError:
            return None
        return path

    def missed(self, build_id: str, name: str) -> bool:
        """Whether servers were asked in vain a short time ago: then there is an empty file."""
        try:
            status = (self._folder / build_id / name).stat()
        except OSError:
            return False
        return not status.st_size and time.time() - status.st_mtime <= self._setting(*_MISS)

    def miss(self, build_id: str, name: str) -> None:
        """Remember that no server has it."""
        path = self._folder / build_id / name
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.touch()

    @contextlib.contextmanager
    def place(self, build_id: str, name: str) -> Iterator[Path]:
        """A new file to write; it gets its name at the end of the block, and is removed if that raises."""
        folder = self._folder / build_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f"{name}.", dir=folder)
        os.close(descriptor)
        try:
            yield Path(temporary)
            Path(temporary).chmod(0o400)
            Path(temporary).replace(folder / name)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def clean(self) -> None:
        """What the client does before each query: write the control files, and from time to time remove what is old."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            interval, age = self._setting(*_INTERVAL), self._setting(*_MAX_AGE)
            self._setting(*_MISS)
            control = self._folder / _INTERVAL[0]
            if time.time() - control.stat().st_mtime >= interval:
                for path in self._folder.glob("*/*"):
                    if _OURS.fullmatch(path.name) and time.time() - path.stat().st_atime >= age:
                        path.unlink(missing_ok=True)
                os.utime(control)

    def _setting(self, name: str, default: int) -> int:
        path = self._folder / name
        try:
            return int(path.read_text())
        except FileNotFoundError:
            path.write_text(str(default))
        except ValueError:
            pass
        return default
