"""Split DWARF: what a program tells of the ``.dwo`` files that have its debug information, and whose those are.

DWARF 5, 3.1.2, 3.1.3 and 7.3; before that "DWARF Fission" by GNU. A file that makes no sense has none of it.
"""

import os
import struct
import zlib
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from corebox.coredump.header import HEADER_SIZE, Header, parse_header
from corebox.coredump.sections import SHT_NOBITS, inflated, read_sections
from corebox.files.extents import Extent, read_at

#: Where split units are below a debug-file-directory of ours, which gdb searches by the names that the program has
#: for them; so deep, because such a name may begin with ``..``.
SPLIT_BELOW = "split/0/1/2/3/4/5/6/7"
MAX_UNITS = 1 << 16
#: Of all sections of a file, as long as it is looked at.
_MAX_INFLATED_SIZE = 64 << 20
_MAX_ABBREVIATIONS_LENGTH, _MAX_ENTRY_LENGTH, _MAX_NAME_LENGTH = 1 << 16, 1024, 4096
_MAX_NAMES_LENGTH = 16 << 20
#: Tables that overlap are nobody's but an attacker's: together they are looked through no more often than this.
_MAX_PASSES = 4
_SKELETON, _SPLIT_COMPILE = 4, 5  # DW_UT_...
_COMP_DIR, _STR_OFFSETS_BASE, _DWO_NAME, _GNU_DWO_NAME, _GNU_DWO_ID = 0x1B, 0x72, 0x76, 0x2130, 0x2131  # DW_AT_...
_FIXED = {
    0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x0C: 1, 0x0E: 4, 0x17: 4, 0x19: 0, 0x1F: 4, 0x20: 8, 0x25: 1, 0x26: 2,
    0x27: 3, 0x28: 4, 0x29: 1, 0x2A: 2, 0x2B: 3, 0x2C: 4, 0x1E: 16, 0x10: 4, 0x11: 1, 0x12: 2, 0x13: 4, 0x14: 8,
}  # fmt: skip
_STRX = {0x25, 0x26, 0x27, 0x28, 0x1A, 0x1F02}
_LEB = {0x0D, 0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23, 0x1F01, 0x1F02}


class Skeleton(NamedTuple):
    """A compilation unit whose debug information is in the file ``name``, beneath ``folder`` if it is relative."""

    name: str
    folder: str
    dwo_id: int
    version: int

    @property
    def path(self) -> str:
        """Where the compiler put it."""
        return os.path.normpath(os.path.join(self.folder, self.name))


class _OddError(Exception):
    """What is there is not what it should be."""


class _Data:
    """The bytes of a section of an open file."""

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        self.size = size
        self._descriptor, self._offset = descriptor, offset

    def read(self, at: int, size: int) -> bytes:
        """Bytes, fewer at the end."""
        size = max(0, min(size, self.size - at))
        return read_at(self._descriptor, self._offset + at, size) if size else b""

    def inflated(self, header: Header, most: int) -> Optional[bytes]:
        """What is compressed in it, up to ``most`` bytes; None if it is not compressed."""
        return inflated(self._descriptor, Extent(self._offset, self.size), header, most)


class _Inflated:
    """The bytes of a section that was compressed."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def read(self, at: int, size: int) -> bytes:
        """Bytes, fewer at the end."""
        return self._data[at : at + size]


class _File:
    """An ELF file with DWARF."""

    def __init__(self, descriptor: int) -> None:
        header = parse_header(read_at(descriptor, 0, HEADER_SIZE))
        if header is None:
            raise _OddError
        size = os.fstat(descriptor).st_size
        self.header = header
        self._specifications: Dict[Tuple[int, int], List[Tuple[int, int]]] = {}
        self._passed = 0
        self._inflated = 0
        self._data: Dict[str, Union[_Data, _Inflated]] = {}
        self._raw = {
            name: _Data(descriptor, section.offset, max(0, min(section.size, size - section.offset)))
            for name, section in read_sections(descriptor, header, size).items()
            if name.startswith(".debug_") and section.kind != SHT_NOBITS
        }

    def has(self, name: str) -> bool:
        """Whether there is a section of this name."""
        return name in self._raw

    def section(self, name: str) -> "Optional[Union[_Data, _Inflated]]":
        """The section of this name; it is inflated when first asked for."""
        if name in self._raw and name not in self._data:
            inflated = self._raw[name].inflated(self.header, _MAX_INFLATED_SIZE - self._inflated)
            self._inflated += len(inflated or b"")
            self._data[name] = self._raw[name] if inflated is None else _Inflated(inflated)
        return self._data.get(name)

    def unpack(self, code: str, data: bytes, at: int) -> Tuple[int, ...]:
        """Numbers in the file's byte order."""
        return struct.unpack_from(self.header.order + code, data, at)

    def units(self, suffix: str) -> Iterator[Tuple[int, int, int, int, bytes]]:
        """Version, type, offset of the abbreviations, dwo_id or 0, and the first entry of each unit."""
        info, at = self.section(".debug_info" + suffix), 0
        for _ in range(MAX_UNITS):
            head = info.read(at, _MAX_ENTRY_LENGTH) if info else b""
            if len(head) < 12:
                return
            head = head.ljust(20, b"\0")
            length, version = self.unpack("IH", head, 0)
            if version == 5:
                kind, _, abbreviations = self.unpack("BBI", head, 6)
                split = kind in (_SKELETON, _SPLIT_COMPILE)
                yield version, kind, abbreviations, self.unpack("Q", head, 12)[0], head[20 if split else 12 :]
            elif 2 <= version <= 4:
                yield version, 0, self.unpack("I", head, 6)[0], 0, head[11:]
            if not 7 < length < 0xFFFFFFF0:
                return
            at += 4 + length

    def attributes(self, entry: bytes, abbreviations: int, suffix: str) -> Dict[int, Tuple[int, bytes]]:
        """Form and bytes of each attribute of an entry."""
        code, at = _uleb(entry, 0)
        found = {}
        for attribute, form in self._specification(abbreviations, code, suffix):
            size = _size(form, entry, at, self.header.word_size)
            found[attribute] = form, entry[at : at + size]
            at += size
        return found

    def _specification(self, abbreviations: int, code: int, suffix: str) -> List[Tuple[int, int]]:
        """Attributes and forms of an abbreviation."""
        if (abbreviations, code) not in self._specifications:
            section = self.section(".debug_abbrev" + suffix)
            if section is None or self._passed > _MAX_PASSES * (section.size + _MAX_ABBREVIATIONS_LENGTH):
                raise _OddError
            table = section.read(abbreviations, _MAX_ABBREVIATIONS_LENGTH)
            self._specifications[abbreviations, code], end = _specification(table, code)
            self._passed += end
        return self._specifications[abbreviations, code]

    def text(self, value: Optional[Tuple[int, bytes]], offsets: int) -> str:
        """A string attribute; ``offsets`` is where the unit's part of .debug_str_offsets begins."""
        if value is None:
            return ""
        form, data = value
        if form == 0x08:  # DW_FORM_string
            return os.fsdecode(data.split(b"\0")[0])
        name = ".debug_line_str" if form == 0x1F else ".debug_str"
        if form in _STRX:
            index = _uleb(data, 0)[0] if form in _LEB else int.from_bytes(data, self.header.byte_order)  # type: ignore
            table = self.section(".debug_str_offsets")
            data = table.read(offsets + 4 * index, 4) if table else b""
        elif form not in (0x0E, 0x1F):
            return ""
        strings = self.section(name)
        if strings is None or len(data) < 4:
            return ""
        return os.fsdecode(strings.read(self.unpack("I", data, 0)[0], _MAX_NAME_LENGTH).split(b"\0")[0])


def skeletons(descriptor: int) -> List[Skeleton]:
    """The compilation units of an open ELF file whose debug information is elsewhere."""
    found = []
    length = 0
    try:
        file = _File(descriptor)
        if not file.has(".debug_addr"):  # what split units have their addresses in
            return []
        for version, kind, abbreviations, own_id, entry in file.units(""):
            if version == 5 and kind != _SKELETON:
                continue
            values = file.attributes(entry, abbreviations, "")
            gnu_id = values.get(_GNU_DWO_ID)
            dwo_id = file.unpack("Q", gnu_id[1], 0)[0] if gnu_id else own_id
            base = values.get(_STR_OFFSETS_BASE)
            offsets = file.unpack("I", base[1], 0)[0] if base else 8
            name = file.text(values.get(_DWO_NAME) or values.get(_GNU_DWO_NAME), offsets)
            folder = file.text(values.get(_COMP_DIR), offsets)
            length += len(name) + len(folder)
            if length > _MAX_NAMES_LENGTH:
                break
            if name and dwo_id:
                found.append(Skeleton(name, folder, dwo_id, version))
    except (_OddError, OSError, struct.error, zlib.error):
        pass  # what was found before
    return found


def split_ids(descriptor: int) -> FrozenSet[int]:
    """The dwo_id of each compilation unit that an open ``.dwo`` or ``.dwp`` file has."""
    found: Set[int] = set()
    try:
        file = _File(descriptor)
        index = file.section(".debug_cu_index")
        if index is not None:
            slots = file.unpack("I", index.read(12, 4), 0)[0]
            table = index.read(16, 8 * min(slots, 4 * MAX_UNITS))
            found.update(struct.unpack("{}{}Q".format(file.header.order, len(table) // 8), table[: len(table) & -8]))
        for version, kind, abbreviations, dwo_id, entry in file.units(".dwo"):
            if version == 5 and kind == _SPLIT_COMPILE:
                found.add(dwo_id)
            elif version < 5:
                value = file.attributes(entry, abbreviations, ".dwo").get(_GNU_DWO_ID)
                found.update(file.unpack("Q", value[1], 0) if value else ())
    except (_OddError, OSError, struct.error, zlib.error):
        pass
    return frozenset(found - {0})


def _specification(table: bytes, wanted: int) -> Tuple[List[Tuple[int, int]], int]:
    """Attributes and forms of an abbreviation, and where it ends in the table."""
    at = 0
    while True:
        code, at = _uleb(table, at)
        if code == 0:
            raise _OddError
        _, at = _uleb(table, at)
        at += 1
        pairs = []
        while True:
            attribute, at = _uleb(table, at)
            form, at = _uleb(table, at)
            if form == 0x21:  # DW_FORM_implicit_const
                _, at = _uleb(table, at)
            if attribute == form == 0:
                break
            pairs.append((attribute, form))
        if code == wanted:
            return pairs, at


def _size(form: int, entry: bytes, at: int, word: int) -> int:
    """How many bytes a value of this form has."""
    if form == 0x01:  # DW_FORM_addr
        return word
    if form == 0x21:
        return 0
    if form == 0x08:
        end = entry.find(b"\0", at)
        if end < 0:
            raise _OddError
        return end + 1 - at
    if form in _LEB:
        return _uleb(entry, at)[1] - at
    if form == 0x18:  # DW_FORM_exprloc
        size, end = _uleb(entry, at)
        return end + size - at
    if form not in _FIXED:
        raise _OddError
    return _FIXED[form]


def _uleb(data: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            return value, at
    raise _OddError
