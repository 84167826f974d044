"""Folders with debug files: unstripped executables, ``.debug`` files, ``.build-id`` trees, and what dwz shares."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from corebox.coredump import ElfFile, debug_path, read_elf
from corebox.errors import CoreboxError, InputError


def find_symbols(folders: Sequence[Path], build_ids: Iterable[str]) -> dict[str, Path]:
    """The file with the symbols of each build ID, as far as the folders have one; nothing but the build ID counts.

    A file with debug information wins over one with a symbol table only, an earlier folder over a later one.
    What dwz has put into a file of its own comes along under that file's build ID; such a file shares nothing further.

    Raises:
        InputError: ``no-such-file`` for a folder that is not there.
    """
    for folder in folders:
        if not folder.is_dir():
            raise InputError("no-such-file", f"{folder} is not a folder", "give a folder: --symbols DIR")
    found = _find(folders, frozenset(build_ids))
    shared = {facts.debugaltlink[1] for _, facts in found.values() if facts.debugaltlink} - found.keys()
    found |= _find(folders, shared) if shared else {}
    return {build_id: path for build_id, (path, _) in found.items()}


def _find(folders: Sequence[Path], wanted: Collection[str]) -> dict[str, tuple[Path, ElfFile]]:
    best: dict[str, tuple[Path, ElfFile]] = {}
    for folder in folders:
        for path, facts in _candidates(folder, wanted):
            if facts.build_id is None or facts.build_id not in wanted:
                continue
            known = best.get(facts.build_id)
            if known is None or (facts.has_debug_info and not known[1].has_debug_info):
                best[facts.build_id] = (path, facts)
    return best


def _candidates(folder: Path, wanted: Collection[str]) -> Iterator[tuple[Path, ElfFile]]:
    """Every ELF file with symbols; those that are named by build ID only if theirs is wanted."""
    named = {Path(debug_path(build_id)).name for build_id in wanted}
    for directory, folders, names in os.walk(folder):
        folders.sort()
        in_tree = Path(directory).parent.name == ".build-id"
        for name in sorted(names):
            if in_tree and name not in named:
                continue
            path = Path(directory, name)
            try:
                facts = read_elf(str(path))
            except CoreboxError:  # no ELF file, not readable, or damaged: then it is not the file
                continue
            if not facts.stripped:
                yield path, facts
