"""An empty ``.dwo`` file in the place of one that is lacking.

gdb shows no frame at all of a program when it does not find one of its ``.dwo`` files ("Could not find DWO CU"). With
one that says nothing it takes the functions' names from the symbol table, and the lines from the program's own table.
"""

import struct

_PROGBITS, _STRTAB, _EXCLUDE = 1, 3, 0x80000000  # SHT_..., SHF_EXCLUDE
_NAMES = b".shstrtab\0"
_LANGUAGE_C, _DWARF5 = 0x0C, 5
# A compile unit without children: its language and its name; and in DWARF 4 its dwo_id.
_ABBREVIATION = bytes([1, 0x11, 0, 0x13, 0x0B, 0x03, 0x08])
_ENTRY = bytes([1, _LANGUAGE_C]) + b"?\0"


def empty_unit(dwo_id: int, version: int, bits: int, order: str, machine: int) -> bytes:
    """The file; ``bits``, ``order`` (as ``struct`` has it) and ``machine`` (EM_...) are the program's."""
    size = bits // 8
    if version == _DWARF5:
        unit = struct.pack(order + "HBBIQ", version, 5, size, 0, dwo_id) + _ENTRY
        abbreviations = _ABBREVIATION + bytes(3)
    else:
        unit = struct.pack(order + "HIB", version, 0, size) + _ENTRY + struct.pack(order + "Q", dwo_id)
        abbreviations = _ABBREVIATION + bytes([0xB1, 0x42, 0x07]) + bytes(3)
    info = struct.pack(order + "I", len(unit)) + unit
    return _object(((b".debug_info.dwo", info), (b".debug_abbrev.dwo", abbreviations)), bits, order, machine)


def _object(sections: tuple[tuple[bytes, bytes], ...], bits: int, order: str, machine: int) -> bytes:
    """An ELF object file with these sections."""
    wide = bits == 64
    start, row = (64, 64) if wide else (52, 40)
    names, content, rows = b"\0", b"", bytes(row)
    for name, data in sections:
        rows += _row(wide, order, (len(names), _PROGBITS, _EXCLUDE, 0, start + len(content), len(data)))
        names, content = names + name + b"\0", content + data
    rows += _row(wide, order, (len(names), _STRTAB, 0, 0, start + len(content), len(names) + len(_NAMES)))
    content += names + _NAMES
    content += bytes(-len(content) % 8)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    layout = "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"
    count = len(sections) + 2
    header = struct.pack(
        order + layout, 1, machine, 1, 0, 0, start + len(content), 0, start, 0, 0, row, count, count - 1
    )
    return ident + header + content + rows


def _row(wide: bool, order: str, fields: tuple[int, ...]) -> bytes:
    """A section header without link, info and entries, aligned to a byte."""
    return struct.pack(order + ("IIQQQQIIQQ" if wide else "10I"), *fields, 0, 0, 1, 0)
