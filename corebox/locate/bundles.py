"""Other bundles: the files of one crash may be those of another."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from corebox.bundle.layout import ROOTFS
from corebox.locate.archives import Archive
from corebox.locate.members import Members
from corebox.locate.wanted import Candidate, Member, Origin, Wanted, Wants
from corebox.locate.wantedfiles import Key, WantedFiles
from corebox.store.store import Store

_TOP = f"/{ROOTFS}"


class BundleFiles:
    """The files of the bundle at ``path``; its core is passed over."""

    def __init__(self, path: Path, store: Store) -> None:
        self.name = str(path)
        self._archive = Archive(path, store)
        self._members = Members(self, store, f"bundle {self._archive.stamp}")

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """Those of ``wanted_files`` that are in it."""
        return self._members.find(wanted_files)

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """See ``Place``."""
        return self._members.candidates(wanted, Origin(self.name, url=self.name))

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """See ``Tree``."""

        def inside(name: str) -> bool:
            return name.startswith(f"{_TOP}/") and wants(name.removeprefix(_TOP))

        for member in self._archive.members(inside, elf_only=elf_only):
            yield member._replace(name=member.name.removeprefix(_TOP))
