"""Call frame information: which code has it, and what it says (DWARF 5, 6.4; LSB, "Exception Frames").

gdb unwinds by it and does not tell when it could not. Read from the core's memory, by the table that the linker makes
for binary search, and from the file's sections where that has nothing. Everything is bounded: it may be anybody's.
"""

import array
import bisect
import itertools
import pathlib
import struct
import zlib

_PT_LOAD, _PT_GNU_EH_FRAME = 1, 0x6474E550
_SHF_COMPRESSED, _SHT_NOBITS, _ELFCOMPRESS_ZLIB = 0x800, 8, 1
_TABLE = 0x3B  # DW_EH_PE_datarel | DW_EH_PE_sdata4
_FORMATS = {2: "H", 3: "I", 4: "Q", 10: "h", 11: "i", 12: "q"}
_MAX_ENTRY_SIZE, _MAX_SECTION_SIZE, _MAX_HEADERS, _MAX_SECTIONS = 1 << 16, 64 << 20, 256, 1 << 12
# Of a program: registers of any processor, and rows remembered; of a section: what a browser has is a third.
_MAX_REGISTERS, _MAX_KEPT, _MAX_ENTRIES, _MAX_COMMON = 1 << 10, 64, 1 << 19, 1 << 15


class DamagedError(Exception):
    """What is there is no call frame information, or is cut."""


class Entry:
    """What an FDE and its CIE say of the code from ``start`` to ``end``; see ``rules``."""

    def __init__(self, start, end, common, program, form):
        self.start, self.end, self._common, self._program, self._form = start, end, common, program, form

    @property
    def return_register(self):
        """The DWARF number of the column that has the return address."""
        return self._common["return"]

    def rules(self, pc):
        """The CFA as (register, offset), and the offset from it at which each register is saved, at ``pc``.

        None if an expression is needed for it.
        """
        initial = _State()
        if not initial.run(self._common["program"], self._common, self.start, self.start, self._form):
            return None
        state = initial.copy()
        if not state.run(self._program, self._common, self.start, pc, self._form, initial):
            return None
        return state.cfa, state.saved


class _State:
    """A row of the table that a program describes."""

    def __init__(self):
        self.cfa, self.saved, self.kept = (None, 0), {}, []

    def copy(self):
        new = _State()
        new.cfa, new.saved = self.cfa, dict(self.saved)
        return new

    def run(self, program, common, location, pc, form, initial=None):
        """Execute until the row that ``pc`` is in; False if an instruction is not known or needs an expression."""
        data = _Bytes(program, 0, form)
        while data.at < len(program):
            code = data.number("B")
            high, low = code & 0xC0, code & 0x3F
            if high == 0x40 or 1 <= code <= 4:
                location += self._advance(code, low, data) * common["code"]
                if location > pc:
                    return True
            elif not self._define(high, code, low, data, common, initial):
                return False
        return True

    @staticmethod
    def _advance(code, low, data):
        if code == 1:  # DW_CFA_set_loc: with this encoding only ever in code that is not ours to judge
            raise DamagedError
        return low if code & 0xC0 else data.number({2: "B", 3: "H", 4: "I"}[code])

    def _define(self, high, code, low, data, common, initial):
        factor = common["data"]
        if high == 0x80:  # DW_CFA_offset
            self.saved[low] = data.uleb() * factor
        elif high == 0xC0 or code == 6:  # DW_CFA_restore, _restore_extended
            self._restore(low if high else data.uleb(), initial)
        elif code in (5, 0x11):  # DW_CFA_offset_extended, _sf
            register = data.uleb()
            self.saved[register] = (data.uleb() if code == 5 else data.sleb()) * factor
        elif code in (7, 8):  # DW_CFA_undefined, _same_value
            self.saved.pop(data.uleb(), None)
        elif code == 9:  # DW_CFA_register
            register, _ = data.uleb(), data.uleb()
            self.saved.pop(register, None)
        elif code == 10:
            self._keep()
        elif code == 11 and self.kept:
            self.cfa, self.saved = self.kept.pop()
        elif code in (12, 0x12):  # DW_CFA_def_cfa, _sf
            self.cfa = data.uleb(), data.uleb() if code == 12 else data.sleb() * factor
        elif code == 13:
            self.cfa = data.uleb(), self.cfa[1]
        elif code in (14, 0x13):  # DW_CFA_def_cfa_offset, _sf
            self.cfa = self.cfa[0], data.uleb() if code == 14 else data.sleb() * factor
        elif code == 0x2E:  # DW_CFA_GNU_args_size
            data.uleb()
        else:
            return code in (0, 0x2D)  # DW_CFA_nop; DW_CFA_AARCH64_negate_ra_state
        return True

    def _keep(self):
        if len(self.kept) == _MAX_KEPT or len(self.saved) > _MAX_REGISTERS:
            raise DamagedError
        self.kept.append((self.cfa, dict(self.saved)))

    def _restore(self, register, initial):
        if initial is not None and register in initial.saved:
            self.saved[register] = initial.saved[register]
        else:
            self.saved.pop(register, None)


class _Bytes:
    """Reads numbers one after the other; ``address`` is that of the first byte."""

    def __init__(self, data, address, form):
        self.data, self.address, self.at = data, address, 0
        self._order, self.word = form

    def number(self, code):
        try:
            (value,) = struct.unpack_from(self._order + code, self.data, self.at)
        except struct.error as error:
            raise DamagedError from error
        self.at += struct.calcsize("=" + code)
        return value

    def uleb(self):
        value = shift = 0
        while shift < 70:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value
        raise DamagedError

    def sleb(self):
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> bits - 1 & 1 else value

    def pointer(self, encoding):
        """A pointer as ``DW_EH_PE_...`` says; only those that code's addresses and sizes have."""
        base = self.address + self.at if encoding & 0x70 == 0x10 else 0
        kind = encoding & 0x0F
        if kind in (1, 9):
            value = self.uleb() if kind == 1 else self.sleb()
        else:
            value = self.number(_FORMATS.get(kind, "Q" if self.word == 8 else "I"))
        return base + value & (1 << 8 * self.word) - 1


def _common_information(data, eh_frame):
    """What the FDEs of a CIE share; ``data`` is at its version."""
    version = data.number("B")
    end = data.data.find(b"\0", data.at)
    if end < 0:
        raise DamagedError
    letters, data.at = data.data[data.at : end], end + 1
    if not eh_frame and version >= 4:
        data.at += 2  # sizes of an address and of a segment selector
    found = {"code": data.uleb(), "data": data.sleb(), "encoding": 0, "extra": letters[:1] == b"z"}
    found["return"] = data.number("B") if version == 1 else data.uleb()
    if found["extra"]:
        size = data.uleb()
        end = data.at + size
        for letter in letters[1:]:
            if letter == ord("R"):
                found["encoding"] = data.number("B")
            elif letter == ord("P"):
                data.pointer(data.number("B"))
            elif letter == ord("L"):
                data.at += 1
        data.at = end
    elif letters:
        raise DamagedError
    found["program"] = data.data[data.at :]
    return found


def _description(data, common, form):
    """The entry of an FDE; ``data`` is behind its pointer to the CIE."""
    start = data.pointer(common["encoding"])
    size = data.pointer(common["encoding"] & 0x0F)
    if common["extra"]:
        data.at += data.uleb()
    return Entry(start, start + size, common, data.data[data.at :], form)


class Module:
    """The unwind information of an ELF image in the core's memory.

    Args:
        base: where its ELF header is; None if it is not in the core.
        text: where its section .text is, for when the header is not in the core.
        read: reads memory: address, size; raises what ``errors`` names if it cannot.
        form: byte order as struct has it, and bytes of an address.
        files: paths of the files that have its sections.
    """

    def __init__(self, base, text, read, form, files, errors):
        self._read, self._form, self._files, self._errors = read, form, files, errors
        self._base, self._sections, self._data = base, None, []
        self.bias, self._table = 0, None
        try:
            self._read_headers(read)
        except (*errors, DamagedError, struct.error):
            self._table = None
            self.bias = next((self._bias_of(path, text) for path in files[:1]), 0)

    def _bias_of(self, path, text):
        """How far its addresses lie from where a file was linked, by the file: its header is not in the core."""
        if self._base is None:
            return next((text - each for each in _text_addresses(path, self._form)), 0)
        try:
            with pathlib.Path(path).open("rb") as file:

                def read(address, size):
                    file.seek(address - self._base)
                    return file.read(size)

                self._read_headers(read)
        except (OSError, ValueError, DamagedError, struct.error):
            self.bias, self._table = 0, None
        return self.bias

    def _read_headers(self, read):
        if self._base is None:
            raise DamagedError
        wide = self._form[1] == 8
        header = _Bytes(read(self._base, 64), 0, self._form)
        if header.data[:4] != b"\x7fELF":
            raise DamagedError
        header.at = 32 if wide else 28
        start = header.number("Q" if wide else "I")
        header.at = 56 if wide else 44
        count, size = header.number("H"), 56 if wide else 32
        if count > _MAX_HEADERS:
            raise DamagedError
        data = read(self._base + start, count * size)
        found = {}
        for at in range(0, len(data), size):
            if wide:
                kind, _, offset, address = struct.unpack_from(self._form[0] + "IIQQ", data, at)
            else:
                kind, offset, address = struct.unpack_from(self._form[0] + "III", data, at)
            found.setdefault(kind, (offset, address))
        offset, address = found.get(_PT_LOAD, (0, self._base))
        self.bias = self._base - (address - offset)
        if _PT_GNU_EH_FRAME in found:
            self._table = self.bias + found[_PT_GNU_EH_FRAME][1]

    def entry(self, pc):
        """What is said of the code at ``pc``, or None; raises ``DamagedError`` where that cannot be told."""
        try:
            found = self._search(pc) if self._table is not None else None
        except (*self._errors, DamagedError):
            found = None
        return found or self._in_sections(pc)

    def _search(self, pc):
        """By the linker's table: version, three encodings, pointer, count, then pairs (LSB, ".eh_frame_hdr")."""
        head = self._read(self._table, 12)
        if head[3] != _TABLE:
            raise DamagedError
        data = _Bytes(head, self._table, self._form)
        data.at = 4
        data.pointer(head[1])
        data.data += self._read(self._table + 12, 8)
        low, high = 0, data.number("I")
        first = self._table + data.at
        while low < high:
            middle = (low + high) // 2
            if self._table + self._pair(first, middle)[0] <= pc:
                low = middle + 1
            else:
                high = middle
        if not low:
            return None
        found = self._description(self._table + self._pair(first, low - 1)[1])
        return found if found.start <= pc < found.end else None

    def _pair(self, first, index):
        return struct.unpack(self._form[0] + "ii", self._read(first + 8 * index, 8))

    def _body(self, address):
        """The bytes of an entry behind its length, and where they are."""
        (size,) = struct.unpack(self._form[0] + "I", self._read(address, 4))
        if not 0 < size < _MAX_ENTRY_SIZE:
            raise DamagedError
        return _Bytes(bytes(self._read(address + 4, size)), address + 4, self._form)

    def _description(self, address):
        data = self._body(address)
        common = self._body(data.address - data.number("I"))
        common.at = 4
        return _description(data, _common_information(common, True), self._form)

    def _in_sections(self, pc):
        if self._sections is None:
            # Three numbers of each, not what they say: there may be a million.
            found = sorted(itertools.islice(self._scan(), _MAX_ENTRIES))
            self._sections = [array.array("Q", (each[column] for each in found)) for column in range(3)]
        starts, sources, places = self._sections
        index = bisect.bisect_right(starts, pc) - 1
        if index < 0:
            return None
        found = self._read_entry(sources[index], places[index])
        return found if found is not None and found.start <= pc < found.end else None

    def _scan(self):
        """Where each entry of the files' sections begins, which section it is in, and where in it."""
        for data, eh_frame in self._frame_data():
            source = len(self._data)
            self._data.append((data, eh_frame))
            for each, at in _entries(data, eh_frame, self._form):
                yield each.start + self.bias & (1 << 64) - 1, source, at

    def _frame_data(self):
        for path in self._files:
            for name, address, data in _frame_sections(path, self._form):
                yield _Bytes(data, address, self._form), name == b".eh_frame"

    def _read_entry(self, source, at):
        data, eh_frame = self._data[source]
        data.at = at
        found = next(iter(_entries(data, eh_frame, self._form)), None)
        if found is None:
            return None
        entry, _ = found
        entry.start, entry.end = entry.start + self.bias, entry.end + self.bias
        return entry


def _text_addresses(path, form):
    """The address of a file's .text."""
    return [address for _, address, _ in _frame_sections(path, form, (b".text",))]


def _frame_sections(path, form, wanted=(b".eh_frame", b".debug_frame")):
    """Name, address and bytes of the sections of a file that have call frame information."""
    try:
        with pathlib.Path(path).open("rb") as file:
            yield from _sections(file, form, wanted)
    except (OSError, struct.error, zlib.error, MemoryError):
        return


def _sections(file, form, wanted):
    order, word = form
    wide = word == 8
    header = file.read(64)
    if header[:4] != b"\x7fELF":
        return
    (start,) = struct.unpack_from(order + ("Q" if wide else "I"), header, 40 if wide else 32)
    size, count, names = struct.unpack_from(order + "HHH", header, 58 if wide else 46)
    if not start or count > _MAX_SECTIONS:
        return
    code = order + ("IIQQQQ" if wide else "IIIIII")
    file.seek(start)
    table = file.read(size * count)
    rows = [struct.unpack_from(code, table, size * index) for index in range(len(table) // size)]

    def content(row):
        _, kind, _, _, offset, length = row
        file.seek(offset)
        return b"" if kind == _SHT_NOBITS or length > _MAX_SECTION_SIZE else file.read(length)

    strings = content(rows[names]) if names < len(rows) else b""
    for row in rows:
        name = strings[row[0] : strings.find(b"\0", row[0])]
        if name in wanted:
            data = content(row)
            if row[2] & _SHF_COMPRESSED:
                data = _inflated(data, form)
            yield name, row[3], data


def _inflated(data, form):
    """What a compressed section holds (elf(5), Elf64_Chdr); gdb alone reads those that zlib does not."""
    (kind,) = struct.unpack_from(form[0] + "I", data)
    if kind != _ELFCOMPRESS_ZLIB:
        return b""
    return zlib.decompressobj().decompress(data[24 if form[1] == 8 else 12 :], _MAX_SECTION_SIZE)


def _entries(data, eh_frame, form):
    """The FDEs of a section from where ``data`` is at, each with its place; what is damaged ends it."""
    commons = {}
    try:
        while data.at + 4 < len(data.data):
            start = data.at
            size = data.number("I")
            body = data.at
            if size == 0 or size >= len(data.data):
                return
            mark = data.number("I")
            if mark != (0 if eh_frame else 0xFFFFFFFF):
                place = body - mark if eh_frame else mark
                if place not in commons and len(commons) < _MAX_COMMON:
                    commons[place] = _common_at(data, place, eh_frame, form)
                if commons.get(place) is not None:
                    entry = _Bytes(data.data[body : body + min(size, _MAX_ENTRY_SIZE)], data.address + body, form)
                    entry.at = 4
                    yield _description(entry, commons[place], form), start
            data.at = body + size
    except DamagedError:
        return


def _common_at(data, place, eh_frame, form):
    """The CIE at a place of a section, None if there is none."""
    header = _Bytes(data.data[place : place + 8] if place >= 0 else b"", 0, form)
    try:
        size, mark = header.number("I"), header.number("I")
        if mark != (0 if eh_frame else 0xFFFFFFFF):
            return None
        common = _Bytes(data.data[place + 4 : place + 4 + min(size, _MAX_ENTRY_SIZE)], data.address + place + 4, form)
        common.at = 4
        return _common_information(common, eh_frame)
    except DamagedError:
        return None
