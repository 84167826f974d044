"""Folders with debug files: unstripped executables, ``.debug`` files, ``.build-id`` trees, and what dwz shares."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from corebox.coredump import ElfFile, read_elf
from corebox.errors import CoreboxError, InputError

_ELF = b"\x7fELF"


def debug_path(build_id: str) -> str:
    """Where gdb looks for the debug file of a build ID, below a debug-file-directory.

    gdb manual, "Separate Debug Files".
    """
    return f".build-id/{build_id[:2]}/{build_id[2:]}.debug"


def find_symbols(folders: Sequence[Path], build_ids: Iterable[str]) -> dict[str, Path]:
    """The file with the symbols of each build ID, as far as the folders have one; nothing but the build ID counts.

    A file with debug information wins over one with a symbol table only, an earlier folder over a later one.
    What dwz has put into a file of its own comes along under that file's build ID.

    Raises:
        InputError: ``no-such-file`` for a folder that is not there.
    """
    for folder in folders:
        if not folder.is_dir():
            raise InputError("no-such-file", f"{folder} is not a folder", "give a folder: --symbols DIR")
    wanted, found = set(build_ids), dict[str, Path]()
    while wanted:
        found |= _find(folders, wanted)
        wanted = {shared for path in found.values() if (shared := _shared(path))} - found.keys() - wanted
    return found


def _find(folders: Sequence[Path], wanted: set[str]) -> dict[str, Path]:
    best: dict[str, tuple[bool, Path]] = {}
    for folder in folders:
        for path, facts in _candidates(folder, wanted):
            build_id = facts.build_id or ""
            known = best.get(build_id)
            if build_id in wanted and (known is None or (facts.has_debug_info and not known[0])):
                best[build_id] = (facts.has_debug_info, path)
    return {build_id: path for build_id, (_, path) in best.items()}


def _candidates(folder: Path, wanted: set[str]) -> Iterator[tuple[Path, ElfFile]]:
    """Every ELF file with symbols; those that are named by build ID only if theirs is wanted."""
    named = {Path(debug_path(build_id)).name: build_id for build_id in wanted}
    for directory, folders, names in os.walk(folder):
        folders.sort()
        in_tree = Path(directory).parent.name == ".build-id"
        for name in sorted(names):
            path = Path(directory, name)
            if in_tree and name not in named:
                continue
            facts = _facts(path)
            if facts is not None and not facts.stripped:
                yield path, facts


def _facts(path: Path) -> ElfFile | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            if file.read(len(_ELF)) != _ELF:
                return None
        return read_elf(str(path))
    except (OSError, CoreboxError):  # not readable, or damaged: then it is not the file
        return None


def _shared(path: Path) -> str | None:
    facts = _facts(path)
    return facts.debugaltlink[1] if facts and facts.debugaltlink else None
