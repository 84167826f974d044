"""The search for the files of a crash: places offer candidates, and what the core proves is taken.

Proof is the build ID in the memory of the process; where there is none, the pages that were dumped, all of them.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from corebox.coredump.core import CoreFile
from corebox.coredump.elffile import elf_of
from corebox.coredump.prove import ModuleProof, prove_module
from corebox.coredump.values import Module
from corebox.errors import InputError
from corebox.files.diskroot import Found
from corebox.files.extents import open_regular
from corebox.files.openfile import OpenFile
from corebox.locate.companions import take_companions
from corebox.locate.staging import Staging
from corebox.locate.wanted import EXECUTABLE, LIBRARY, Candidate, Origin, Place, Wanted

#: Of the files of the right name and another build so many are told.
_MAX_REFUSED = 3
#: As many as a gatherer looks for.
MAX_MODULES = 8192
#: Where files lie that the core names by relative paths.
WORKING_DIRECTORY = "/working-directory"


class Refusal(NamedTuple):
    """A file of a wanted name that is not the one; ``build_id`` is its own."""

    origin: Origin
    name: str
    build_id: str | None
    why: str


class Gap(NamedTuple):
    """A file that no place has."""

    wanted: Wanted
    refused: tuple[Refusal, ...]


class Taken(NamedTuple):
    """A file that was found and proved: where it lies in the root, and what is said of the proof."""

    path: str
    wanted: Wanted
    candidate: Candidate
    detail: str | None


class Recovered(NamedTuple):
    """What a search gave.

    Attributes:
        taken: the modules' files.
        origins: of all files put into the root, by their canonical path.
        gaps: what no place has.
        asked: the names of the places, in the order in which they were asked.
    """

    taken: tuple[Taken, ...]
    origins: dict[str, Origin]
    gaps: tuple[Gap, ...]
    asked: tuple[str, ...]


def wanted_of(core: CoreFile, module: Module, packages: Mapping[str, tuple[str, str]]) -> Wanted | None:
    """What to ask for; None for a module without a name of a file, which no place can have."""
    names = absolute_names((module.path, *module.opened_as))
    kind = EXECUTABLE if module.is_executable else LIBRARY
    package = packages.get(module.build_id or "")
    return Wanted(names, kind, module.build_id, core.machine, package) if names else None


def search(
    core: CoreFile,
    modules: Iterable[Module],
    places: Sequence[Place],
    root: Path,
    progress: Callable[[str], None] = lambda _: None,
    packages: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> Recovered:
    """Ask the places for the files of ``modules``, one after the other, and put what is proved into ``root``.

    ``packages`` says of a build ID which package has it, by name and version, as far as that is known.

    Raises:
        The errors of the places.
    """
    found = _Search(core, Staging(root))
    for module in list(modules)[:MAX_MODULES]:
        wanted = wanted_of(core, module, packages)
        if wanted is not None:
            found.left.setdefault(wanted, module)
    asked = []
    for place in places:
        if not found.left:
            break
        progress(f"looking for {len(found.left)} files in {place.name}")
        asked.append(place.name)
        found.ask(place)
    gaps = tuple(Gap(wanted, tuple(found.refused.get(wanted, ()))) for wanted in found.left)
    return Recovered(tuple(found.taken), found.origins, gaps, tuple(asked))


def absolute_names(given: Iterable[str]) -> tuple[str, ...]:
    """The absolute names among those of a module.

    If there are none, those in ``WORKING_DIRECTORY``: the core does not say where that was.
    """
    each = dict.fromkeys(given)
    absolute = tuple(name for name in each if name.startswith("/"))
    return absolute or tuple(path for name in each if (path := _in_working_directory(name)))


def _in_working_directory(name: str) -> str | None:
    path = os.path.normpath(name) if name and "\0" not in name else ""
    return f"{WORKING_DIRECTORY}/{path}" if path not in ("", ".", "..") and not path.startswith(("../", "[")) else None


class _Search:
    """What is left to be found, and what was found."""

    def __init__(self, core: CoreFile, staging: Staging) -> None:
        self._core = core
        self._staging = staging
        self.left: dict[Wanted, Module] = {}
        self.taken: list[Taken] = []
        self.refused: dict[Wanted, list[Refusal]] = {}
        self.origins: dict[str, Origin] = {}

    def ask(self, place: Place) -> None:
        """Take what this place has, with the companions of that."""
        new: list[Taken] = []
        for candidate in place.candidates(tuple(self.left)):
            module = self.left.get(candidate.wanted)
            taken = self._take(candidate, module) if module else None
            if taken:
                del self.left[candidate.wanted]
                new.append(taken)
            if not self.left:
                break
        self.taken += new
        self.origins |= take_companions(self._staging, [(each.wanted, each.candidate) for each in new])

    def _take(self, candidate: Candidate, module: Module) -> Taken | None:
        try:
            file = OpenFile(str(candidate.path), open_regular(str(candidate.path)))
        except InputError:
            return None
        try:
            proof = prove_module(self._core, module, Found(candidate.name, (), file, None))
            elf = elf_of(file)
            has_code = elf is not None and elf.whole and not elf.hollow
            path = self._put(candidate, file) if proof.proven and has_code else None
            if path is None:
                self._refuse(candidate, proof)
                return None
            self.origins[path] = candidate.origin
            return Taken(path, candidate.wanted, candidate, proof.detail)
        finally:
            file.close()

    def _put(self, candidate: Candidate, file: OpenFile) -> str | None:
        return self._staging.put(candidate.wanted.names[0], file.fileno(), os.fstat(file.fileno()))

    def _refuse(self, candidate: Candidate, proof: ModuleProof) -> None:
        refused = self.refused.setdefault(candidate.wanted, [])
        if len(refused) < _MAX_REFUSED:
            refused.append(Refusal(candidate.origin, candidate.name, proof.file, proof.detail or proof.verdict))
