"""ELF files with the symbols that a compiler or strip leaves, without either."""

import struct
from pathlib import Path

from corebox.coredump.values import FULL, MINIMAL, NONE
from tests.unit.gather.sites import elf_with_sections

_SECTIONS = {FULL: {".debug_info": b"info", ".symtab": bytes(24)}, MINIMAL: {".symtab": bytes(24)}, NONE: {}}
_PACKAGE = 0xCAFE1A7E  # NT_FDO_PACKAGING_METADATA


def debug_file(path: Path, build_id: str | None, level: str = FULL, *, package: str = "", more: bytes = b"") -> Path:
    """A file at ``path`` with this build ID; ``package`` is its package metadata, ``more`` makes it another file."""
    sections = dict(_SECTIONS[level])
    if package:
        data = package.encode() + b"\0"
        note = struct.pack("<III", 4, len(data), _PACKAGE) + b"FDO\0" + data + bytes(-len(data) % 4)
        sections[".note.package"] = note
    if more:
        sections[".comment"] = more
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(elf_with_sections(build_id, sections))
    return path
