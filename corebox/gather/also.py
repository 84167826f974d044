"""Folders in which the customer has the files of the crash under other names: an unpacked AppImage, a copied tree."""

import os
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from corebox.coredump.elffile import read_elf
from corebox.coredump.values import Module
from corebox.errors import CoreboxError, InputError

_MOST_ENTRIES = 1000000


class FolderIndex:
    """The ELF files beneath some folders by build ID and by name; looked through when first asked.

    Raises:
        InputError: ``no-such-folder`` for one that is not a directory.
    """

    def __init__(self, folders: Iterable[str] = ()) -> None:
        self._folders = tuple(folders)
        self._index: Optional[Tuple[Dict[str, List[str]], Dict[str, List[str]]]] = None
        for folder in self._folders:
            if not os.path.isdir(folder):
                message, hint = "{} is not a directory".format(folder), "give --also a directory with the files"
                raise InputError("no-such-folder", message, hint, path=folder)

    def candidates(self, module: Module) -> Iterator[str]:
        """Paths of the files with the module's build ID; if it has none in memory, of those with one of its names."""
        if not self._folders:
            return
        if self._index is None:
            self._index = _look_through(self._folders)
        by_build_id, by_name = self._index
        if module.build_id:
            yield from by_build_id.get(module.build_id, ())
        else:
            for name in dict.fromkeys(os.path.basename(name) for name in (module.path, *module.opened_as)):
                yield from by_name.get(name, ())


def _look_through(folders: Iterable[str]) -> Tuple[Dict[str, List[str]], Dict[str, List[str]]]:
    by_build_id = {}  # type: Dict[str, List[str]]
    by_name = {}  # type: Dict[str, List[str]]
    for path in _files_below(folders):
        try:
            facts = read_elf(path)
        except CoreboxError:
            continue
        if facts.whole:
            by_build_id.setdefault(facts.build_id or "", []).append(path)
            by_name.setdefault(os.path.basename(path), []).append(path)
    return by_build_id, by_name


def _files_below(folders: Iterable[str]) -> Iterator[str]:
    """Regular files, sorted folder by folder; links are not followed."""
    waiting = list(folders)[::-1]
    seen = 0
    while waiting and seen < _MOST_ENTRIES:
        try:
            with os.scandir(waiting.pop()) as entries:
                found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError:
            continue
        seen += len(found)
        waiting += [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        yield from (entry.path for entry in found if entry.is_file(follow_symlinks=False))
