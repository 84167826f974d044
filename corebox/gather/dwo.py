"""Files with split debug information: ``.dwo`` of each compilation unit, or all of them in a ``.dwp``."""

import os
from typing import FrozenSet, Iterable, Iterator, List

from corebox.coredump.elffile import elf_of
from corebox.coredump.splitdwarf import Skeleton, skeletons, split_ids
from corebox.files.diskroot import Found
from corebox.gather.files import FileSet

MAX_FILES = 4096
_MAX_NAMED = 8
_MAX_LACKING = 64
#: Of all files of a crash together; a look for a name takes as long as that at so many units.
_MAX_UNITS = 1 << 20
_UNITS_OF_A_LOOK = 8


class SplitDebug:
    """Takes the ``.dwp`` and ``.dwo`` files of ELF files into the set, each proved by its dwo_id.

    They are looked for where gdb does, beside the file and where the compiler put them (gdb manual, "Separate Debug
    Files"), and beside the program too, where they are moved to.
    """

    def __init__(self, files: FileSet) -> None:
        self._files = files
        self._left = _MAX_UNITS

    def take(self, holders: Iterable[Found]) -> None:
        """Take what is found of these, and note what is not."""
        for found in holders:
            if found.file and self._left > 0:
                wanted = skeletons(found.file.fileno())
                self._left -= len(wanted)
                if wanted:
                    self._take(found, wanted)

    def _take(self, found: Found, wanted: List[Skeleton]) -> None:
        package = self._files.root.find(found.path + ".dwp")
        packed = self._ids(package)
        if packed.intersection(each.dwo_id for each in wanted):
            self._files.take(package, "debug")
        taken, lacking = 0, []  # type: int, List[Skeleton]
        for each in wanted:
            if each.dwo_id in packed:
                continue
            own = None
            if len(lacking) < _MAX_LACKING and self._left > 0:  # where so many are not, the others are not either
                own = next((at for at in self._candidates(found, each) if each.dwo_id in self._ids(at)), None)
            if own is None or taken >= MAX_FILES:
                lacking.append(each)
            else:
                self._files.take(own, "debug")
                taken += 1
        self._miss(found, lacking)

    def _miss(self, found: Found, lacking: List[Skeleton]) -> None:
        for each in lacking[:_MAX_NAMED]:
            self._files.miss(each.path, "split debug information of {}: not here".format(found.path))
        if len(lacking) > _MAX_NAMED:
            self._files.miss(found.path + ".dwp", "{} more files of split debug information".format(len(lacking)))

    def _candidates(self, found: Found, each: Skeleton) -> Iterator[Found]:
        folder = os.path.dirname(found.path)
        for path in (each.path, os.path.join(folder, each.name), os.path.join(folder, os.path.basename(each.name))):
            if path.startswith("/"):
                self._left -= _UNITS_OF_A_LOOK
                yield self._files.root.find(os.path.normpath(path))

    def _ids(self, found: Found) -> FrozenSet[int]:
        ids = split_ids(found.file.fileno()) if found.file and elf_of(found.file) else frozenset()  # type: FrozenSet[int]
        self._left -= len(ids)
        return ids
