"""Folders: of releases, an unpacked system or debug files, whatever their layout; files are known by build ID.

Packages and archives in a folder are looked into when its own files do not have all that is wanted.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from corebox.coredump.elffile import is_elf
from corebox.errors import InputError
from corebox.files.mounts import read_mounts
from corebox.locate.index import Index
from corebox.locate.sieve import Sieve
from corebox.locate.wanted import Candidate, Member, Origin, Wanted, Wants
from corebox.locate.wantedfiles import Best, Key, Source, WantedFiles

#: What the name of a package or an archive ends with.
SUFFIXES = (
    ".deb", ".ddeb", ".udeb", ".rpm", ".apk", ".whl", ".AppImage", ".zip",
    ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tar.bz2", ".tbz2",
)  # fmt: skip
MAX_PACKAGES = 10000
#: Opens a package of a folder as a place; None for what cannot be read as one, of which it tells the user.
OpenPackage = Callable[[Path], Source | None]


class Folder:
    """Everything beneath a folder; where a link leads out of it, what is there is read for symbols alone.

    Args:
        folder: where it is.
        index: keeps what is known of its files.
        name: what the user calls it.
        open_package: opens the packages in it, if these are to be looked into.
    """

    def __init__(
        self, folder: Path, index: Index, name: str | None = None, open_package: OpenPackage | None = None
    ) -> None:
        self.name = name or str(folder)
        self._folder = folder.absolute()
        self._index = index
        self._open_package = open_package

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """Those that are there; a file with debug information wins over one with a symbol table only."""
        best, packages = Best(), list[Path]()
        files = (path for path in self._files(packages) if not wanted_files.excludes(str(path)))
        for path, facts in self._index.read(files):
            key = wanted_files.match(path.name, path, facts)
            if key is not None:
                best.add(key, path, facts)
        found = best.files
        for package in self._opened(packages):
            rest = wanted_files.without(found)
            if not rest.keys:
                break
            found |= package.find(rest)
        return found

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """See ``Place``."""
        sieve = Sieve(wanted)
        top = self._folder.resolve()
        # Where each should be if the folder is the root of a system: then nothing has to be searched.
        named = {self._folder / name[1:]: None for each in wanted for name in each.names}
        there = (path for path in named if _is_file(path) and path.resolve().is_relative_to(top))
        packages: list[Path] = []
        others = (path for path in self._files(packages) if path not in named and not path.is_symlink())
        for path, facts in self._index.read(chain(there, others)):
            for each in sieve.match(str(path), facts):
                yield Candidate(each, path, self._name_of(path), Origin(self.name, url=str(path)), self)
        for package in self._opened(packages):
            yield from package.candidates(wanted)

    def packages(self) -> Iterator[Source]:
        """The packages and archives in it."""
        packages: list[Path] = []
        for _ in self._files(packages):
            pass
        return self._opened(packages)

    def members_in(self, folders: Sequence[str], wants: Wants) -> Iterator[Member]:
        """Those of ``members`` that are in these of its folders, named from its root, or that are these files."""
        tops = [self._folder / name.strip("/") for name in folders]
        for top in sorted(
            top for top in set(tops) if not any(top != other and top.is_relative_to(other) for other in tops)
        ):
            yield from members_beneath(self._folder, wants, top=top)

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """See ``Tree``."""
        return members_beneath(self._folder, wants, elf_only=elf_only)

    def _name_of(self, path: Path) -> str:
        return f"/{path.relative_to(self._folder)}"

    def _files(self, packages: list[Path]) -> Iterator[Path]:
        """Debug files may be links from a ``.build-id`` tree; a name that leads to no file is passed over.

        Packages are none of the files: their paths are put into the list.
        """
        for path in _entries(self._folder):
            if not _is_file(path):
                continue
            if self._open_package and path.name.endswith(SUFFIXES):
                packages.append(path)
            else:
                yield path

    def _opened(self, packages: Sequence[Path]) -> Iterator[Source]:
        opened = (self._open_package(path) for path in packages if self._open_package)
        return islice((source for source in opened if source is not None), MAX_PACKAGES)


def members_beneath(root: Path, wants: Wants, *, elf_only: bool = False, top: Path | None = None) -> Iterator[Member]:
    """The members of the tree that lies unpacked in the folder ``root``; see ``Tree.members``.

    With ``top`` those that are beneath that folder of the tree, or are that file.
    """
    for path in _entries(top or root) if top is None or top.is_dir() else [top] if os.path.lexists(top) else []:
        name = f"/{path.relative_to(root)}"
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
