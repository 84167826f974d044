"""Where the vendor has the source files that debug information names."""

import os
import posixpath
from pathlib import Path
from typing import NamedTuple

from corebox.errors import InputError, UsageError

#: What is looked up in all: characters of names, and for each name so many more.
_MAX_NAMES, _OF_A_NAME = 10 << 20, 64
_MAX_LENGTH, _MAX_DEPTH = 4096, 32  # of one: characters, and folders that its end may have (PATH_MAX; sources are flat)


class SourceFolder(NamedTuple):
    """A folder of ours that was ``prefix`` where the program was compiled, None if that is not known."""

    path: Path
    prefix: str | None = None


def parse_source(text: str) -> SourceFolder:
    """``PATH`` or ``PATH=PREFIX``, where either may have ``=`` in it: what ends before one has to be a folder.

    Raises:
        InputError: ``no-such-file``.
        UsageError: ``bad-source`` for a prefix that no compiler writes.
    """
    ends = [index for index, char in enumerate(text) if char == "="]
    end = next((end for end in (len(text), *ends) if Path(text[:end]).is_dir()), None)
    if end is None:
        path = text.partition("=")[0]
        hint = "give a folder: --source DIR, or --source DIR=PREFIX"
        raise InputError("no-such-file", f"{path} is not a folder", hint)
    prefix = text[end + 1 :] if end < len(text) else None
    if prefix is not None and (not prefix or not prefix.isprintable()):
        hint = "see the names in the program: info source in corebox shell"
        raise UsageError("bad-source", f"{prefix!r} is not a source folder of the program", hint)
    return SourceFolder(Path(text[:end]).absolute(), prefix)


class Sources:
    """Finds files in folders of ours; so many and such long names are looked up that no hostile answer costs minutes.

    Debug information is the customer's: nothing outside of the folders is named, neither by ".." nor by a link.
    """

    def __init__(self, folders: tuple[SourceFolder, ...]) -> None:
        self.folders = folders
        self._known: dict[str, str | None] = {}  # stacks name the same few files again and again
        self._left = _MAX_NAMES

    def find(self, name: str) -> str | None:
        """The file that ``name`` in debug information stands for, None if no folder has it."""
        if name not in self._known:
            self._left -= len(name) + _OF_A_NAME
            if len(name) > _MAX_LENGTH or self._left < 0:
                return None
            self._known[name] = self._look_up(posixpath.normpath(name))
        return self._known[name]

    def _look_up(self, name: str) -> str | None:
        found = (_inside(folder.path, tail) for folder in self.folders for tail in _tails(name, folder.prefix))
        return next(filter(None, found), None)


def _inside(folder: Path, tail: str) -> str | None:
    try:
        if not os.path.isfile(f"{folder}/{tail}"):  # noqa: PTH113  # ten times as fast as what follows
            return None
        root = folder.resolve()
        path = (root / tail).resolve()
        return str(path) if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, a loop of links
        return None


def _tails(name: str, prefix: str | None) -> list[str]:
    """What may follow the folder's path: all behind the prefix, or any end of the name, the longest first."""
    if prefix is not None:
        prefix = posixpath.normpath(prefix).rstrip("/") + "/"
        return [name.removeprefix(prefix)] if name.startswith(prefix) else []
    parts = name.lstrip("/").split("/")[-_MAX_DEPTH:]
    return ["/".join(parts[index:]) for index in range(len(parts))]
