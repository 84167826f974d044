"""Proves that a file is the one that was mapped: its build ID against the one in the memory of the crashed process."""

from typing import NamedTuple, Optional

from corebox.coredump.compare import compare_with_file
from corebox.coredump.core import CoreFile
from corebox.coredump.elffile import elf_of, why_not_elf
from corebox.coredump.values import Module, PageComparison
from corebox.coredump.verdict import CANNOT_VERIFY, MISMATCH, MISSING, VERIFIED, compare_build_ids
from corebox.errors import CoreboxError
from corebox.files.diskroot import Found
from corebox.files.openfile import OpenFile


class ModuleProof(NamedTuple):
    """The verdict on one module; ``memory`` and ``file`` are build IDs in lower-case hex, None if there is none.

    ``proven`` says that the build IDs are one, or that the core has pages of the file and all of them are equal.
    """

    path: str
    memory: Optional[str]
    file: Optional[str]
    verdict: str
    detail: Optional[str]
    proven: bool = False


def fits(core: CoreFile, file: OpenFile) -> bool:
    """Whether the file is for the processor of the core; what is not an ELF file is for none."""
    elf = elf_of(file)
    return (
        elf is not None
        and elf.is_program
        and (elf.machine, elf.bits, elf.byte_order) == (core.machine, core.bits, core.byte_order)
    )


def prove_module(core: CoreFile, module: Module, found: Found) -> ModuleProof:
    """The verdict on one module, for which ``found`` is what its path leads to."""
    file = found.file
    if file is None:
        return ModuleProof(module.path, module.build_id, None, MISSING, _what_is_left(core, module, found.why))
    elf = elf_of(file)
    if elf is None:
        why = "not the file that was mapped: " + why_not_elf(file)
        return ModuleProof(module.path, module.build_id, None, MISMATCH, why)
    if not fits(core, file):
        why = "the file with this name is for {}, the core is from {}".format(elf.machine, core.machine)
        if not elf.is_program:
            why = "the file with this name is neither a program nor a shared library"
        return ModuleProof(module.path, module.build_id, None, MISSING, _what_is_left(core, module, why))
    if not elf.whole:
        why = "the file is truncated or a debug file: it does not contain what was mapped"
        return ModuleProof(module.path, module.build_id, elf.build_id, MISMATCH, why)
    verdict, detail = compare_build_ids(module.build_id, elf.build_id)
    proven = verdict == VERIFIED
    if verdict == CANNOT_VERIFY:
        pages = compare_pages(core, module, file)
        proven = pages is not None and pages.equal_bytes > 0 and not pages.different_bytes
        detail = "{}; {}".format(detail, _pages_in_words(pages))
    elif verdict == MISMATCH and module.deleted:
        detail = "the file was deleted while the process ran, and another is in its place"
    return ModuleProof(module.path, module.build_id, elf.build_id, verdict, detail, proven)


def compare_pages(core: CoreFile, module: Module, file: OpenFile) -> Optional[PageComparison]:
    """What the core has of the module against the file; None if the file cannot be read."""
    try:
        return compare_with_file(core, module, file.fileno())
    except (CoreboxError, OSError):
        return None


def _what_is_left(core: CoreFile, module: Module, why: Optional[str]) -> str:
    """Why the file is missing, and how much of it the core itself holds (its data, as a rule)."""
    held = core.memory.size_between(module.start, module.end)
    return "{}; {} of the {} bytes it had in memory are in the core".format(why, held, module.end - module.start)


def _pages_in_words(pages: Optional[PageComparison]) -> str:
    if pages is None:
        return "its pages cannot be compared because it cannot be read"
    if pages.different_bytes:
        return "{} of {} dumped bytes differ from the file".format(
            pages.different_bytes, pages.different_bytes + pages.equal_bytes
        )
    if pages.equal_bytes:
        return "all {} dumped bytes equal the file's".format(pages.equal_bytes)
    return "none of its pages are in the core to compare"
