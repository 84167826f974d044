"""Which file of this machine is the one that a module was mapped from: each candidate is opened once, and proved."""

import os
from typing import TYPE_CHECKING, Dict, Iterator, NamedTuple, Optional

from corebox.coredump.core import CoreFile
from corebox.coredump.elffile import elf_of
from corebox.coredump.prove import ModuleProof, fits, prove_module
from corebox.coredump.values import Module
from corebox.coredump.verdict import MISSING
from corebox.errors import InputError
from corebox.files.diskroot import DiskRoot, Found
from corebox.files.extents import open_regular
from corebox.files.openfile import OpenFile
from corebox.files.reader import reading_as

if TYPE_CHECKING:
    from corebox.gather.also import FolderIndex

_MEMFD = "/memfd:"
NOT_PROVED = "not proved by the core"


class ModuleFile(NamedTuple):
    """A module, the file that was found for it, and what was proved of that."""

    module: Module
    found: Found
    proof: ModuleProof


class Places(NamedTuple):
    """Where to look: beneath ``root``, then in ``also``; ``live`` has open files by the start of their mapping.

    ``executable`` is the file that the customer named; relative names begin in the folder ``beside``, else in the
    core's.
    """

    root: DiskRoot
    executable: Optional[str]
    live: Dict[int, str]
    also: "Optional[FolderIndex]"
    beside: Optional[str] = None


def find_module(core: CoreFile, module: Module, places: Places) -> ModuleFile:
    """The module with the best of its candidates: one that is proved, else one of the right kind."""
    if module.is_executable and places.executable:
        found = _named_executable(module, places.executable, places.root)
        return ModuleFile(module, found, prove_module(core, module, found))
    best = None
    for found in _candidates(core, module, places):
        each = ModuleFile(module, found, prove_module(core, module, found))
        if each.proof.proven:
            return each
        if best is None or _rank(core, found) > _rank(core, best.found):
            best = each
    assert best
    if best.proof.verdict == MISSING or (best.found.file and elf_of(best.found.file) is None):
        return as_missing(best, best.proof.detail)  # whoever gathers: such a file was never mapped as this module
    return _unless_untrusted(best, places.root)


def _rank(core: CoreFile, found: Found) -> int:
    if found.file is None or (elf_of(found.file) and not fits(core, found.file)):
        return 0
    return 1 + fits(core, found.file)


def _candidates(core: CoreFile, module: Module, places: Places) -> Iterator[Found]:
    """In the order of trust: what the process had open, what is at its names, what other folders have of it.

    On overlayfs some kernels write the path inside a layer into NT_FILE (seen with 6.18): then only the names of the
    link map lead to the file.
    """
    root = places.root
    own = _own_name(core, module, places)
    if module.start in places.live:
        live = _open_live(places.live[module.start], root)
        if live:
            yield own._replace(file=live, why=None)
    yield own
    for name in module.opened_as:
        if name.startswith("/") and name != module.path:
            yield root.find(name)
    for path in places.also.candidates(module) if places.also else ():
        file = _open_file(path, root)
        elf = elf_of(file)
        if file and elf and elf.whole:
            yield own._replace(file=file, why=None)


def _own_name(core: CoreFile, module: Module, places: Places) -> Found:
    if module.path.startswith(_MEMFD):
        return Found(module.path, (), None, "it ran from memory (memfd_create), not from a file")
    if module.path.startswith("/"):
        return places.root.find(module.path)
    return _beside(core, module, places)


def _beside(core: CoreFile, module: Module, places: Places) -> Found:
    """A module known by a relative name: it was below the working directory, where kernels put the core (core(5))."""
    folder = places.beside or os.path.dirname(os.path.abspath(core.path))
    found = places.root.find(os.path.join(folder, module.path))
    if found.file and prove_module(core, module, found).proven:
        return found
    return Found(module.path, (), None, "the core has only a relative path for it")


def _named_executable(module: Module, path: str, root: DiskRoot) -> Found:
    """The file that the customer named, at the path at which the process had it."""
    absolute = os.path.abspath(path)
    at = root.find(module.path).path if module.path.startswith("/") else absolute
    file = _open_file(absolute, root)
    return Found(at, (), file, None if file else "a file that cannot be taken")


def _open_live(path: str, root: DiskRoot) -> Optional[OpenFile]:
    """A file that the process had mapped; what it could execute only, its user could not have read."""
    file = _open_file(path, root)
    if file and root.reader:
        try:
            with reading_as(root.reader):
                os.close(os.open("/proc/self/fd/{}".format(file.fileno()), os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return None
    return file


def _open_file(path: str, root: DiskRoot) -> Optional[OpenFile]:
    """The regular file that opening ``path`` gives, a link of /proc followed; None if there is none to be taken."""
    try:
        descriptor = open_regular(path)
    except InputError:
        return None
    if root.why_not_taken(descriptor):
        os.close(descriptor)
        return None
    return root.adopt(OpenFile(path, descriptor))


def _unless_untrusted(best: ModuleFile, root: DiskRoot) -> ModuleFile:
    """Root takes nothing of a stranger's crash by its name alone: the stranger has chosen the names."""
    if root.reader is None:
        return best
    return as_missing(
        best, "{}, and the crash is of user {}: {}".format(NOT_PROVED, root.reader.uid, best.proof.detail)
    )


def as_missing(each: ModuleFile, why: Optional[str]) -> ModuleFile:
    """The module without the file that was found, which is not to be taken."""
    if each.found.file is None:
        return each
    proof = each.proof._replace(verdict=MISSING, detail=why, file=None)
    return each._replace(found=each.found._replace(file=None, why=why), proof=proof)
