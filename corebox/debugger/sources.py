"""Where the vendor has the source files that debug information names."""

import functools
import posixpath
from pathlib import Path
from typing import NamedTuple

from corebox.errors import InputError, UsageError


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


@functools.lru_cache(maxsize=4096)  # stacks name the same few files again and again
def local_source(name: str, folders: tuple[SourceFolder, ...]) -> str | None:
    """The file that ``name`` in debug information stands for, None if no folder has it.

    Debug information is the customer's: nothing outside of the folders is named, neither by ".." nor by a link.
    """
    name = posixpath.normpath(name)
    found = (_inside(folder.path, tail) for folder in folders for tail in _tails(name, folder.prefix))
    return next(filter(None, found), None)


def _inside(folder: Path, tail: str) -> str | None:
    try:
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
    parts = name.lstrip("/").split("/")
    return ["/".join(parts[index:]) for index in range(len(parts))]
