"""The symbols that an ELF file exports, by name: where a runtime keeps what it tells debuggers of itself."""

import sys
from array import array
from typing import Dict, NamedTuple, Optional, Sequence

from corebox.coredump.elffile import MAX_SEGMENTS
from corebox.coredump.header import HEADER_SIZE, PT_LOAD, entry_struct, parse_header, parse_segments
from corebox.coredump.sections import SHT_NOBITS, Section, read_sections
from corebox.coredump.values import Segment
from corebox.files.extents import read_at
from corebox.files.openfile import OpenFile

#: V8's tables have some ten megabytes.
MAX_TABLE_SIZE = 32 << 20
_ENTRY_SIZE = 24  # of an Elf64_Sym: name (4), info, other, section index (2), value (8), size (8)


class Exported(NamedTuple):
    """A symbol: the address that it is linked at, and the number of four bytes that the file has there."""

    address: int
    value: int


def exported(file: OpenFile, names: Sequence[str]) -> Dict[str, Exported]:
    """Those of ``names`` that a 64-bit file of this machine's byte order exports; empty for what makes no sense."""
    header = parse_header(read_at(file.fileno(), 0, HEADER_SIZE))
    if header is None or header.bits != 64 or (header.order == "<") != (sys.byteorder == "little"):
        return {}
    sections = read_sections(file.fileno(), header, file.status.size)
    symbols, texts = (_bytes(file, sections.get(name)) for name in (".dynsym", ".dynstr"))
    size = min(header.entry_size * header.entries, MAX_SEGMENTS * entry_struct(header).size)
    segments = tuple(parse_segments(header, read_at(file.fileno(), header.table_offset, size)))
    offsets = array("I", symbols[: len(symbols) // _ENTRY_SIZE * _ENTRY_SIZE])[:: _ENTRY_SIZE // 4]
    found = {}
    for name in names:
        at = texts.find(b"\0" + name.encode("ascii") + b"\0")
        if at >= 0 and at + 1 in offsets:
            row = offsets.index(at + 1)
            address = array("Q", symbols[row * _ENTRY_SIZE + 8 : row * _ENTRY_SIZE + 16])[0]
            found[name] = Exported(address, _value(file, segments, address))
    return found


def _bytes(file: OpenFile, section: Optional[Section]) -> bytes:
    if section is None or section.kind == SHT_NOBITS or section.size > MAX_TABLE_SIZE:
        return b""
    return read_at(file.fileno(), section.offset, section.size)


def _value(file: OpenFile, segments: Sequence[Segment], address: int) -> int:
    """The four bytes that are linked at the address: zeros beyond what the file has of a segment."""
    for segment in segments:
        if segment.kind == PT_LOAD and segment.address <= address < segment.address + segment.file_size:
            data = read_at(file.fileno(), segment.offset + address - segment.address, 4)
            return int.from_bytes(data, sys.byteorder)
    return 0
