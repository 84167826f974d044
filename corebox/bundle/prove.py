"""Proves that a file is the one that was mapped: its build ID against the one in the memory of the crashed process."""

from typing import NamedTuple, Optional, Tuple

from corebox.bundle.disk import DiskRoot, Lookup
from corebox.bundle.verdict import CANNOT_VERIFY, MISMATCH, MISSING, compare_build_ids
from corebox.coredump.compare import compare_with_file
from corebox.coredump.core import CoreFile
from corebox.coredump.elffile import read_elf
from corebox.coredump.values import Module
from corebox.errors import CoreboxError


class ModuleProof(NamedTuple):
    """The verdict on one module; ``memory`` and ``file`` are build IDs in lower-case hex, None if there is none."""

    path: str
    memory: Optional[str]
    file: Optional[str]
    verdict: str
    detail: Optional[str]


def prove(core: CoreFile, root: str) -> Tuple[ModuleProof, ...]:
    """The verdict on each module of the core, with the files of the system at directory ``root``."""
    disk = DiskRoot(root)
    return tuple(prove_module(core, module, disk.find(module.path)) for module in core.modules)


def prove_module(core: CoreFile, module: Module, found: Lookup) -> ModuleProof:
    """The verdict on one module, for which ``found`` is what its path leads to."""
    if found.file is None:
        return ModuleProof(module.path, module.build_id, None, MISSING, _what_is_left(core, module, found))
    disk_path = found.file.disk_path
    try:
        build_id = read_elf(disk_path).build_id
    except CoreboxError as error:
        return ModuleProof(
            module.path, module.build_id, None, MISMATCH, "not the file that was mapped: " + error.message
        )
    verdict, detail = compare_build_ids(module.build_id, build_id)
    if verdict == CANNOT_VERIFY:
        detail = "{}; {}".format(detail, _compare_pages(core, module, disk_path))
    elif verdict == MISMATCH and module.deleted:
        detail = "the file was deleted while the process ran, and another is in its place"
    return ModuleProof(module.path, module.build_id, build_id, verdict, detail)


def _what_is_left(core: CoreFile, module: Module, found: Lookup) -> str:
    """Why the file is missing, and how much of it the core itself holds (its data, as a rule)."""
    held = core.memory.size_between(module.start, module.end)
    return "{}; {} of the {} bytes it had in memory are in the core".format(found.why, held, module.end - module.start)


def _compare_pages(core: CoreFile, module: Module, disk_path: str) -> str:
    try:
        pages = compare_with_file(core, module, disk_path)
    except CoreboxError as error:
        return "its pages cannot be compared: " + error.message
    if pages.different_bytes:
        return "{} of {} dumped bytes differ from the file".format(
            pages.different_bytes, pages.different_bytes + pages.equal_bytes
        )
    if pages.equal_bytes:
        return "all {} dumped bytes equal the file's".format(pages.equal_bytes)
    return "none of its pages are in the core to compare"
