"""The section headers of an ELF file, which matter for debugging alone and may be missing or nonsense.

A table that does not fit its file has no sections; that is a finding, not an error.
"""

import struct
from typing import Dict, NamedTuple

from corebox.coredump.header import Header
from corebox.files.extents import read_at

SHT_NOTE, SHT_NOBITS = 7, 8
#: ``gcc -ffunction-sections`` makes some ten thousand.
MAX_SECTIONS = 1 << 17
MAX_NAME_LENGTH = 256
_MAX_NAMES_LENGTH = 16 << 20
_SHN_XINDEX = 0xFFFF
_LAYOUT = {64: "IIQQQQIIQQ", 32: "10I"}


class Section(NamedTuple):
    """One section: its type (SHT_...), where its bytes are in the file, its flags (SHF_...) and its address."""

    kind: int
    offset: int
    size: int
    flags: int = 0
    address: int = 0


def read_sections(descriptor: int, header: Header, file_size: int) -> Dict[str, Section]:
    """The sections of the open file by name; of two with one name the last. Empty if the table makes no sense."""
    layout = struct.Struct(header.order + _LAYOUT[header.bits])
    start = header.section_offset
    if not 0 < start <= file_size - layout.size:
        return {}
    first = layout.unpack(read_at(descriptor, start, layout.size).ljust(layout.size, b"\0"))
    count = header.sections or first[5]  # ELF gABI, chapter 4: too many for the header are counted in the first
    names_index = first[6] if header.section_names == _SHN_XINDEX else header.section_names
    if not names_index < count <= min(MAX_SECTIONS, (file_size - start) // layout.size):
        return {}
    rows = list(layout.iter_unpack(read_at(descriptor, start, count * layout.size)))
    if len(rows) < count:
        return {}
    _, kind, _, _, offset, size = rows[names_index][:6]
    if kind == SHT_NOBITS or offset + size > file_size:
        return {}
    names = read_at(descriptor, offset, min(size, _MAX_NAMES_LENGTH))
    return {_name(names, row[0]): Section(row[1], row[4], row[5], row[2], row[3]) for row in rows}


def _name(names: bytes, at: int) -> str:
    end = names.find(b"\0", at, at + MAX_NAME_LENGTH)
    return names[at:end].decode("latin-1") if end >= 0 else ""
