"""Folders: of a release, an unpacked system or debug files, whatever their layout; files are known by build ID."""

import os
import stat
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from corebox.coredump.elffile import is_elf
from corebox.errors import InputError
from corebox.files.mounts import read_mounts
from corebox.locate.index import Index
from corebox.locate.sieve import Sieve
from corebox.locate.wanted import Candidate, Member, Origin, Wanted, Wants
from corebox.locate.wantedfiles import Best, Key, WantedFiles


class Folder:
    """Everything beneath a folder; where a link leads out of it, what is there is read for symbols alone."""

    def __init__(self, folder: Path, index: Index, name: str | None = None) -> None:
        self.name = name or str(folder)
        self._folder = folder.absolute()
        self._index = index

    def find(self, wish: WantedFiles) -> dict[Key, Path]:
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
        # Where each should be if the folder is the root of a system: then nothing has to be searched.
        named = {self._folder / name[1:]: None for each in wanted for name in each.names}
        there = (path for path in named if _is_file(path) and path.resolve().is_relative_to(top))
        others = (path for path in self._files() if path not in named and not path.is_symlink())
        for path, facts in self._index.read(chain(there, others)):
            for each in sieve.match(str(path), facts):
                yield Candidate(each, path, self._name_of(path), Origin(self.name, url=str(path)), self)

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """See ``Tree``."""
        return members_beneath(self._folder, wants, elf_only=elf_only)

    def _name_of(self, path: Path) -> str:
        return f"/{path.relative_to(self._folder)}"

    def _files(self) -> Iterator[Path]:
        """Debug files may be links from a ``.build-id`` tree; a name that leads to no file is passed over."""
        return (path for path in _entries(self._folder) if _is_file(path))


def members_beneath(top: Path, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
    """The members of the tree that lies unpacked in the folder ``top``; see ``Tree.members``."""
    for path in _entries(top):
        name = f"/{path.relative_to(top)}"
        if wants(name):
            if path.is_symlink():
                yield Member(name, None, str(path.readlink()))
            elif _is_file(path) and (not elf_only or _is_elf(path)):
                yield Member(name, path)


def _entries(top: Path) -> Iterator[Path]:
    mounts = read_mounts("/")
    for directory, folders, names in os.walk(top):
        if mounts.virtual_at(directory):  # what is in /proc are no files, and may be all of the root once more
            folders.clear()
            continue
        folders.sort()
        for name in sorted(names):
            yield Path(directory, name)


def _is_file(path: Path) -> bool:
    """Whether it is a regular file, or a link to one, that may be looked at."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # Path.is_file lets some of them through
        return False


def _is_elf(path: Path) -> bool:
    try:
        return is_elf(str(path))
    except InputError:
        return False
