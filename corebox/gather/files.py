"""The growing set of files and symbolic links that will be in the bundle."""

import os
from typing import Dict, List, Tuple

from corebox.bundle.manifest import FileEntry, Omission, SymlinkEntry
from corebox.coredump.elffile import elf_of
from corebox.files.diskroot import DiskRoot, Found
from corebox.files.openfile import OpenFile
from corebox.files.paths import is_canonical, relative_target


class FileSet:
    """What is taken from one root; every symbolic link on the way to a file comes with it."""

    def __init__(self, root: DiskRoot) -> None:
        self.root = root
        self.sources: Dict[str, OpenFile] = {}
        self._entries: Dict[str, FileEntry] = {}
        self._links: Dict[str, str] = {}
        self._missing: Dict[str, str] = {}

    def entries(self) -> Tuple[FileEntry, ...]:
        """All files in byte order of their paths."""
        return tuple(self._entries[path] for path in sorted(self._entries, key=os.fsencode))

    def symlinks(self) -> Tuple[SymlinkEntry, ...]:
        """All symbolic links in byte order of their paths."""
        return tuple(SymlinkEntry(path, self._links[path]) for path in sorted(self._links, key=os.fsencode))

    def missing(self) -> Tuple[Omission, ...]:
        """What was wanted and not found, by name."""
        return tuple(Omission(path, self._missing[path]) for path in sorted(self._missing, key=os.fsencode))

    def has(self, path: str) -> bool:
        """Whether the file at canonical ``path`` is in the set."""
        return path in self._entries

    def miss(self, name: str, why: str) -> None:
        """Note that ``name`` was wanted, and why it is not taken."""
        self._missing[name] = why

    def take(self, found: Found, role: str) -> bool:
        """Take a file that was found, with the links on the way; the first role of a file counts.

        Returns whether it is the one at its path in the bundle: a process can have had two files under one name.
        """
        self._add_links(found.links)
        return found.file is not None and self.put(found.path, found.file, role)

    def put(self, path: str, file: OpenFile, role: str) -> bool:
        """Take the file as the one at canonical ``path``; returns whether it is that."""
        if path not in self._entries and is_canonical(path):
            self._entries[path] = FileEntry(path, role, *file.status)
            self.sources[path] = file
        return path in self.sources and self.sources[path].inode == file.inode

    def want(self, name: str, role: str) -> bool:
        """Take the file of this name if it is there, and say whether it was."""
        found = self.root.find(name)
        if found.file:
            self.take(found, role)
        return found.file is not None

    def name(self, name: str, path: str) -> None:
        """Make the absolute ``name``, under which the process opened the file at ``path``, lead there in the bundle.

        Where the site has changed, or reaches the file by a bind mount, the name becomes a link to ``path``.
        """
        found = self.root.find(name)
        if found.path == path:
            self._add_links(found.links)
            return
        if found.file and elf_of(found.file) is None:
            return  # AT_EXECFN of a script names the script, not the interpreter that ran
        parent = self.root.find(os.path.dirname(name))
        link = parent.path.rstrip("/") + "/" + os.path.basename(name)
        if is_canonical(link) and self.root.may_hold(link) and link not in self._entries and link != path:
            self._add_links(parent.links)
            self._links[link] = os.path.relpath(path, os.path.dirname(link))

    def drop_conflicts(self) -> None:
        """Leave out links that stand where a file or the directory of a file must be: files come first."""
        directories = set(_parents(list(self._entries) + list(self._links)))
        for path in list(self._links):
            if path in self._entries or path in directories:
                del self._links[path]

    def _add_links(self, links: Tuple[Tuple[str, str], ...]) -> None:
        for path, target in links:
            relative = relative_target(path, target, self.root.read_link)
            if relative is not None and is_canonical(path):
                self._links.setdefault(path, relative)


def _parents(paths: List[str]) -> List[str]:
    parents = set()
    for path in paths:
        parent = os.path.dirname(path)
        while parent != "/" and parent not in parents:
            parents.add(parent)
            parent = os.path.dirname(parent)
    return list(parents)
