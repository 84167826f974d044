"""A core that is a part of another file, which is a core itself by headers that say where everything lies in there.

Readers want a core to begin where its file begins, and no mount begins in the middle of a file. So the file around it
begins with an ELF header of its own, and has a copy of the program headers, with its own offsets, somewhere.
"""

import struct
from typing import Iterator, Optional

from corebox.coredump.header import HEADER_SIZE, PN_XNUM, Header, entry_struct, parse_header
from corebox.coredump.table import ReadCore, count_segments, section_size, section_zero

#: Bytes before the copied program headers, for section 0, which counts them beyond 65,534.
SECTION_SPACE = 64
_ENTRY = 24  # e_entry, which e_phoff and e_shoff follow; after e_flags come six half words (gABI, "ELF Header")
_AT_ONCE = 4096  # program headers


def outer_header(begin: bytes, copy: int) -> bytes:
    """The 64 bytes that the outer file begins with, whose ``outer_table`` is at ``copy``.

    ``begin`` are the core's own; zeros if they are no header of a core. Bytes 6 to 15 are constant, since nobody asks
    for the system that they name: in a tar, whose first field is a name that ends with a zero, no text can be hidden.
    """
    header = _header(begin)
    if header is None or copy + SECTION_SPACE >= 1 << header.bits:
        return bytes(HEADER_SIZE)
    extended = header.entries == PN_XNUM
    size = 52 if header.bits == 32 else HEADER_SIZE
    outer = bytearray(begin[:size].ljust(size, b"\0"))
    outer[6:16] = b"\1" + bytes(9)
    offsets = (0, copy + SECTION_SPACE, copy if extended else 0)
    struct.pack_into(header.order + 3 * header.word, outer, _ENTRY, *offsets)
    sizes = (size, header.entry_size, header.entries, section_size(header), 1 if extended else 0, 0)
    struct.pack_into(header.order + "6H", outer, _ENTRY + 3 * header.word_size + 4, *sizes)
    return bytes(outer).ljust(HEADER_SIZE, b"\0")


def outer_table(read: ReadCore, size: int, shift: int) -> bytes:
    """Section 0, then the program headers of the core of ``size`` bytes that begins at ``shift``.

    What was cut from the core is no memory here: other things follow where it would be.
    """
    header = _header(read(0, HEADER_SIZE))
    if header is None:
        return b""
    count, section = header.entries, b""
    if count == PN_XNUM:
        count = min(count_segments(read, header)[0], max(0, size - header.table_offset) // header.entry_size)
        section = section_zero(header, count)
    return section.ljust(SECTION_SPACE, b"\0") + b"".join(_moved(read, header, count, size, shift))


def _header(begin: bytes) -> Optional[Header]:
    header = parse_header(begin)
    return header if header and header.entry_size == entry_struct(header).size else None


def _moved(read: ReadCore, header: Header, count: int, size: int, shift: int) -> Iterator[bytes]:
    layout = entry_struct(header)
    at, sizes = (2, slice(5, 7)) if header.bits == 64 else (1, slice(4, 6))
    last = (1 << header.bits) - 1
    for first in range(0, count, _AT_ONCE):
        wanted = min(_AT_ONCE, count - first) * layout.size
        table = read(header.table_offset + first * layout.size, wanted)
        for fields in layout.iter_unpack(table[: len(table) // layout.size * layout.size]):
            row = list(fields)
            offset, (file_size, _) = row[at], row[sizes]
            if file_size and offset + file_size > size:
                row[sizes] = [max(0, size - offset)] * 2
            row[at] = min(offset + shift, last)
            yield layout.pack(*row)
        yield bytes(wanted - len(table) // layout.size * layout.size)
