"""Assemblies of .NET and Mono: code in files that are no ELF files, which the runtime maps by itself.

A debugger reads the names of classes and methods in them. Nothing in a core identifies one: what memory holds of its
headers is all that can be compared, so they come as what lies at the places that were mapped, not as proved modules.
"""

import struct
from typing import Dict, Iterable, List, Set, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.values import FileMapping
from corebox.describe.languages import language_of
from corebox.files.extents import read_at
from corebox.files.openfile import OpenFile
from corebox.gather.files import FileSet
from corebox.gather.find import ModuleFile

_HEADERS = 4096
_CLI_HEADER = 14  # the data directory that an assembly has and no other PE file (ECMA-335, II.25.2.3.3)
_DIRECTORIES = {0x10B: 96, 0x20B: 112}  # where the directories begin in the optional header, by its magic number


def take_assemblies(core: CoreFile, files: FileSet, modules: List[ModuleFile]) -> Tuple[List[ModuleFile], Set[str]]:
    """Take what a runtime has mapped; returns the modules without those that are assemblies, and the names taken.

    A core of a stranger's crash names whatever files its user wants to have read, so there none is taken.
    """
    if files.root.reader is not None or not any(_is_runtime(each) for each in modules):
        return modules, set()
    begins = {mapping.path: mapping for mapping in core.other_files if mapping.file_offset == 0}
    unread = {each.module.path: each.module.start for each in modules if each.found.file is None}
    taken = {name for name, start in _places(begins.values(), unread) if _take(core, files, name, start)}
    return [each for each in modules if each.module.path not in taken or each.found.file], taken


def is_assembly(begin: bytes) -> bool:
    """Whether a file that begins so is a PE file with the header that the common language infrastructure wants."""
    if begin[:2] != b"MZ" or len(begin) < 64:
        return False
    (at,) = struct.unpack_from("<I", begin, 60)
    if begin[at : at + 4] != b"PE\0\0" or len(begin) < at + 26:
        return False
    (magic,) = struct.unpack_from("<H", begin, at + 24)
    entry = at + 24 + _DIRECTORIES.get(magic, _HEADERS) + 8 * _CLI_HEADER
    return len(begin) >= entry + 8 and any(begin[entry : entry + 8])


def _is_runtime(each: ModuleFile) -> bool:
    language = language_of(each.module.path)
    return language is not None and language.name == ".NET"


def _places(data: Iterable[FileMapping], unread: Dict[str, int]) -> List[Tuple[str, int]]:
    found = {mapping.path: mapping.start for mapping in data if mapping.path.startswith("/") and not mapping.deleted}
    found.update(unread)
    return sorted(found.items())


def _take(core: CoreFile, files: FileSet, name: str, start: int) -> bool:
    found = files.root.find(name)
    return found.file is not None and _fits(core, found.file, start) and files.take(found, "extra")


def _fits(core: CoreFile, file: OpenFile, start: int) -> bool:
    """Whether the file is an assembly, and begins with what memory has of its beginning."""
    begin = read_at(file.fileno(), 0, _HEADERS)
    there = core.memory.read_available(start, _HEADERS)
    return is_assembly(begin) and begin.startswith(there)
