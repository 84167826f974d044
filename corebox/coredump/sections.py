"""The section headers of an ELF file, which matter for debugging alone and may be missing or nonsense.

A table that does not fit its file has no sections; that is a finding, not an error.
"""

import struct
import zlib
from typing import Dict, NamedTuple, Optional

from corebox.coredump.header import Header
from corebox.files.extents import Extent, read_at

SHT_NOTE, SHT_NOBITS = 7, 8
SHF_COMPRESSED = 0x800
#: ``gcc -ffunction-sections`` makes some ten thousand.
MAX_SECTIONS = 1 << 17
MAX_NAME_LENGTH = 256
_MAX_NAMES_LENGTH = 16 << 20
_SHN_XINDEX = 0xFFFF
_ELFCOMPRESS_ZLIB = 1
_CHUNK = 1 << 20
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


def inflated(descriptor: int, place: Extent, header: Header, most: int) -> Optional[bytes]:
    """What a section holds that is compressed by zlib, up to ``most`` bytes; None if it is not.

    Raises:
        zlib.error: it is damaged.
    """
    # elf(5), Elf64_Chdr. As a unit's length or an abbreviation of DWARF its type would make no sense.
    size = 24 if header.bits == 64 else 12
    start = read_at(descriptor, place.offset, min(size + 2, place.size))
    if len(start) < size + 2 or struct.unpack_from(header.order + "I", start)[0] != _ELFCOMPRESS_ZLIB:
        return None
    if start[size] != 0x78:
        return None
    stream, found = zlib.decompressobj(), bytearray()
    for at in range(size, place.size, _CHUNK):
        if stream.eof or len(found) >= most:
            break
        piece = read_at(descriptor, place.offset + at, min(_CHUNK, place.size - at))
        found += stream.decompress(piece, most - len(found))
    return bytes(found)


def _name(names: bytes, at: int) -> str:
    end = names.find(b"\0", at, at + MAX_NAME_LENGTH)
    return names[at:end].decode("latin-1") if end >= 0 else ""
