"""Folders: of a release, an unpacked system or debug files, whatever their layout; files are known by build ID."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from corebox.coredump.elffile import is_elf
from corebox.errors import InputError
from corebox.locate.index import Index
from corebox.locate.sieve import Sieve
from corebox.locate.wanted import Candidate, Member, Origin, Wanted, Wants
from corebox.locate.wish import Best, Key, Wish


class Folder:
    """Everything beneath a folder; where a link leads out of it, what is there is read for symbols alone."""

    def __init__(self, folder: Path, index: Index, name: str | None = None) -> None:
        self.name = name or str(folder)
        self._folder = folder.absolute()
        self._index = index

    def find(self, wish: Wish) -> dict[Key, Path]:
        """Those of ``wish`` that are there; a file with debug information wins over one with a symbol table only."""
        best = Best()
        for path, facts in self._index.read(path for path in self._files() if not wish.excludes(str(path))):
            key = wish.match(path.name, path, facts)
            if key is not None:
                best.add(key, path, facts)
        return best.files

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """See ``Place``."""
        sieve = Sieve(wanted)
        top = self._folder.resolve()
        files = (path for path in self._files() if not path.is_symlink() or path.resolve().is_relative_to(top))
        for path, facts in self._index.read(files):
            for each in sieve.match(str(path), facts):
                yield Candidate(each, path, self._name_of(path), Origin(self.name, url=str(path)), self)

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """See ``Tree``."""
        for path in self._entries():
            name = self._name_of(path)
            if wants(name):
                if path.is_symlink():
                    yield Member(name, None, str(path.readlink()))
                elif path.is_file() and (not elf_only or _is_elf(path)):
                    yield Member(name, path)

    def _name_of(self, path: Path) -> str:
        return f"/{path.relative_to(self._folder)}"

    def _entries(self) -> Iterator[Path]:
        for directory, folders, names in os.walk(self._folder):
            folders.sort()
            for name in sorted(names):
                yield Path(directory, name)

    def _files(self) -> Iterator[Path]:
        """Debug files may be links from a ``.build-id`` tree; a name that leads to no file is passed over."""
        return (path for path in self._entries() if path.is_file())


def _is_elf(path: Path) -> bool:
    try:
        return is_elf(str(path))
    except InputError:
        return False
