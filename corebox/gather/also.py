"""Folders in which the customer has the files of the crash under other names: an unpacked AppImage, a copied tree."""

import os
import time
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from corebox.coredump.elffile import read_identity
from corebox.coredump.values import Module
from corebox.errors import CoreboxError, InputError
from corebox.files.extents import open_regular
from corebox.files.mounts import Mounts, read_mounts

#: Called with the number of files that were looked at and the folder, now and then.
OnLook = Callable[[int, str], object]
_MAX_ENTRIES, _MAX_KEPT = 2000000, 200000
_MAX_SECONDS = 600
_INTERVAL = 256


class FolderIndex:
    """The ELF files beneath some folders by build ID and by name, looked through no further than to what is asked for.

    Raises:
        InputError: ``no-such-folder`` for one that is not a directory.
    """

    def __init__(self, folders: Iterable[str] = (), on_look: OnLook = lambda _count, _folder: None) -> None:
        self._by_build_id = {}  # type: Dict[str, List[str]]
        self._by_name = {}  # type: Dict[str, List[str]]
        folders = tuple(folders)
        for folder in folders:
            if not os.path.isdir(folder):
                message, hint = "{} is not a directory".format(folder), "give --also a directory with the files"
                raise InputError("no-such-folder", message, hint, path=folder)
        self._walk = _Walk(folders, on_look)
        self._rest = self._walk.files()

    @property
    def why_not_all(self) -> Optional[str]:
        """Why the folders were not looked through to the end, if they were to be."""
        return self._walk.why_not_all

    def candidates(self, module: Module) -> Iterator[str]:
        """Paths of the files with the module's build ID; if it has none in memory, of those with one of its names.

        The build ID is that of their program headers: which ELF files it is right for is proved afterwards.
        """
        if module.build_id:
            yield from self._matching(self._by_build_id, [module.build_id])
        else:
            names = [os.path.basename(name) for name in (module.path, *module.opened_as)]
            yield from self._matching(self._by_name, list(dict.fromkeys(names)))

    def _matching(self, index: Dict[str, List[str]], keys: List[str]) -> Iterator[str]:
        """What is known under these keys, then what is found under them."""
        for key in keys:
            yield from tuple(index.get(key, ()))
        for path, build_id in self._rest:
            self._by_build_id.setdefault(build_id or "", []).append(path)
            self._by_name.setdefault(os.path.basename(path), []).append(path)
            if (build_id if index is self._by_build_id else os.path.basename(path)) in keys:
                yield path


class _Walk:
    """One way through some folders, which goes on where it stopped."""

    def __init__(self, folders: Tuple[str, ...], on_look: OnLook) -> None:
        self.why_not_all = None  # type: Optional[str]
        self._waiting = list(folders)[::-1]
        self._on_look = on_look
        self._seen = self._kept = 0
        self._seconds = 0.0
        self._mounts = read_mounts("/") if folders else Mounts()

    def files(self) -> Iterator[Tuple[str, Optional[str]]]:
        """Each ELF file with the build ID of its program headers, sorted folder by folder; links are not followed."""
        while self._waiting and self.why_not_all is None:
            folder = self._waiting.pop()
            began = time.monotonic()
            found = list(self._look(folder))
            self._seconds += time.monotonic() - began
            self._kept += len(found)
            self._bound(folder)
            yield from found

    def _look(self, folder: str) -> Iterator[Tuple[str, Optional[str]]]:
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError:
            return
        self._waiting += [entry.path for entry in found[::-1] if self._is_folder(entry)]
        for entry in found:
            self._seen += 1
            if self._seen % _INTERVAL == 0:
                self._on_look(self._seen, folder)
            if entry.is_file(follow_symlinks=False):
                yield from _identity(entry.path)

    def _is_folder(self, entry: "os.DirEntry[str]") -> bool:
        """Whether it is a directory of files, not of the kernel's, nor behind a mount that may never answer."""
        if not entry.is_dir(follow_symlinks=False):
            return False
        path = os.path.realpath(entry.path)
        return self._mounts.virtual_at(path) is None and path not in self._mounts.slow

    def _bound(self, folder: str) -> None:
        if self._waiting and (self._seen >= _MAX_ENTRIES or self._kept >= _MAX_KEPT or self._seconds >= _MAX_SECONDS):
            self.why_not_all = "not looked through to the end: {} files took {:.0f} s as far as {}".format(
                self._seen, self._seconds, folder
            )


def _identity(path: str) -> Iterator[Tuple[str, Optional[str]]]:
    """The path with the build ID, if it is an ELF file's."""
    try:
        descriptor = open_regular(path)
    except CoreboxError:
        return
    try:
        identity = read_identity(descriptor)
        if identity:
            yield path, identity.build_id
    finally:
        os.close(descriptor)
