"""What is looked for: debug files by build ID, or, for modules without one, by debuglink and its checksum."""

import re
from collections.abc import Iterable
from pathlib import Path
from posixpath import basename
from typing import NamedTuple, Protocol

from corebox.coredump.elffile import debug_path
from corebox.coredump.values import FULL, NONE
from corebox.files.checksum import file_checksum
from corebox.locate.wanted import Place

#: A build ID, or name and CRC-32 of a debuglink.
Key = str | tuple[str, int]


_BUILD_ID = re.compile(r"[0-9a-f]{4,128}")


def is_build_id(text: str) -> bool:
    """Whether it can be part of a path and of a URL."""
    return _BUILD_ID.fullmatch(text) is not None


class Facts(NamedTuple):
    """What counts of a file.

    Attributes:
        build_id: lower-case hex, None if it has none.
        symbols: their level.
        shared: the build ID of what dwz has taken out.
        code: what a process maps is in it; a debug file has the same build ID, and no code.
    """

    build_id: str | None
    symbols: str
    shared: str | None = None
    code: bool = False


def answers(key: Key, path: Path, facts: Facts) -> bool:
    """Whether the file is the debug file that the key stands for."""
    if facts.symbols == NONE:
        return False
    return facts.build_id == key if isinstance(key, str) else file_checksum(str(path)) == key[1]


class WantedFiles(NamedTuple):
    """The debug files that are looked for."""

    keys: frozenset[Key]

    @property
    def build_ids(self) -> list[str]:
        """Those looked for by build ID, in order."""
        return sorted(key for key in self.keys if isinstance(key, str))

    def excludes(self, path: str) -> bool:
        """Whether a name alone tells that the file is none of these: in a ``.build-id`` tree it is the build ID."""
        parts = path.rsplit("/", 3)
        if len(parts) < 3 or parts[-3] != ".build-id":
            return False
        return parts[-2] + parts[-1].removesuffix(".debug") not in self.keys

    def match(self, name: str, path: Path, facts: Facts) -> Key | None:
        """The key that the file at ``path`` answers, whose own name is ``name``; None if it is none of those wanted."""
        if facts.build_id is not None and facts.build_id in self.keys and facts.symbols != NONE:
            return facts.build_id
        links = (key for key in self.keys if isinstance(key, tuple) and key[0] == basename(name))
        return next((key for key in links if answers(key, path, facts)), None)

    def without(self, keys: Iterable[Key]) -> "WantedFiles":
        """What is left when ``keys`` have been found."""
        return WantedFiles(self.keys - set(keys))


class Best:
    """Of several files for one key the first with debug information, else the first."""

    def __init__(self) -> None:
        self.files: dict[Key, Path] = {}
        self._full: set[Key] = set()

    def add(self, key: Key, path: Path, facts: Facts) -> None:
        """Consider one more file."""
        full = facts.symbols == FULL
        if key not in self.files or (full and key not in self._full):
            self.files[key] = path
            self._full |= {key} if full else set()


class Source(Place, Protocol):
    """A place that may have files of a crash, and debug files."""

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """Those of ``wanted_files`` that it has, as files on this machine."""


def file_name(key: Key) -> str:
    """A plain name for the file of a key, unique among keys; a debuglink's name may hold anything but ``/``."""
    return debug_path(key) if isinstance(key, str) else f"{key[1]:08x}.debug"
