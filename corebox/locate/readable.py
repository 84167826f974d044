"""Packages that nobody named: of one that cannot be read the user is told, and the search goes on without it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from corebox.errors import CoreboxError
from corebox.locate.appimage import AppImage
from corebox.locate.archives import Archive
from corebox.locate.wanted import Candidate, Member, Wanted, Wants
from corebox.locate.wantedfiles import Key, WantedFiles

_UNREADABLE = ("bad-symbols", "no-libarchive", "no-unsquashfs", "cannot-read", "no-such-file")


class Readable:
    """The package, as far as it can be read."""

    def __init__(self, package: Archive | AppImage, on_warning: Callable[[str], None]) -> None:
        self.name = package.name
        self._package = package
        self._on_warning = on_warning

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """See ``Source``."""
        with self._warning():
            return self._package.find(wanted_files)
        return {}

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """See ``Place``."""
        with self._warning():
            yield from self._package.candidates(wanted)

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """See ``Tree``."""
        with self._warning():
            yield from self._package.members(wants, elf_only=elf_only)

    @contextmanager
    def _warning(self) -> Iterator[None]:
        try:
            yield
        except CoreboxError as error:
            if error.code not in _UNREADABLE:
                raise
            self._on_warning(f"{error.message}; it is passed over")
