"""Folders with debug files: unstripped executables, ``.debug`` files, ``.build-id`` trees, and what dwz shares."""

import os
from collections.abc import Iterator
from pathlib import Path

from corebox.symbols.index import Index
from corebox.symbols.wish import Best, Key, Wish


class Folder:
    """Everything beneath a folder, whatever its layout."""

    def __init__(self, folder: Path, index: Index) -> None:
        self._folder = folder.absolute()
        self._index = index

    def find(self, wish: Wish) -> dict[Key, Path]:
        """Those of ``wish`` that are there; a file with debug information wins over one with a symbol table only."""
        best = Best()
        for path, facts in self._index.read(self._candidates(wish)):
            key = wish.match(path.name, path, facts)
            if key is not None:
                best.add(key, path, facts)
        return best.files

    def _candidates(self, wish: Wish) -> Iterator[Path]:
        for directory, folders, names in os.walk(self._folder):
            folders.sort()
            for name in sorted(names):
                path = f"{directory}/{name}"
                if not wish.excludes(path):
                    yield Path(path)
