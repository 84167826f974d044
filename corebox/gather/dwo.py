"""Files with split debug information: ``.dwo`` of each compilation unit, or all of them in a ``.dwp``."""

import os
from typing import FrozenSet, Iterable, Iterator, List, Optional

from corebox.coredump.elffile import elf_of
from corebox.coredump.splitdwarf import Skeleton, skeletons, split_ids
from corebox.files.diskroot import Found
from corebox.gather.files import FileSet

MOST_FILES = 4096
_MOST_NAMED = 8
_MOST_LACKING = 64


def take_split_debug(files: FileSet, holders: Iterable[Optional[Found]]) -> None:
    """The ``.dwp`` and ``.dwo`` files of these ELF files, each proved by its dwo_id.

    They are looked for where gdb does, beside the file and where the compiler put them (gdb manual, "Separate Debug
    Files"), and beside the program too, where they are moved to.
    """
    taken = 0
    for found in holders:
        wanted = skeletons(found.file.fileno()) if found and found.file and elf_of(found.file) else []
        if found is None or not wanted:
            continue
        package = files.root.find(found.path + ".dwp")
        packed = _ids(package)
        if packed.intersection(each.dwo_id for each in wanted):
            files.take(package, "debug")
        lacking: List[Skeleton] = []
        for each in wanted:
            if each.dwo_id in packed:
                continue
            own = None
            if len(lacking) < _MOST_LACKING:  # where so many are not, the others are not either
                own = next((at for at in _candidates(files, found, each) if each.dwo_id in _ids(at)), None)
            if own is None or taken >= MOST_FILES:
                lacking.append(each)
            else:
                files.take(own, "debug")
                taken += 1
        for each in lacking[:_MOST_NAMED]:
            files.miss(each.path, "split debug information of {}: not here".format(found.path))
        if len(lacking) > _MOST_NAMED:
            files.miss(found.path + ".dwp", "{} more files of split debug information".format(len(lacking)))


def _candidates(files: FileSet, found: Found, each: Skeleton) -> Iterator[Found]:
    folder = os.path.dirname(found.path)
    for path in (each.path, os.path.join(folder, each.name), os.path.join(folder, os.path.basename(each.name))):
        if path.startswith("/"):
            yield files.root.find(os.path.normpath(path))


def _ids(found: Found) -> FrozenSet[int]:
    return split_ids(found.file.fileno()) if found.file and elf_of(found.file) else frozenset()
