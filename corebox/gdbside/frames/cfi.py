"""Call frame information: which code has it, and what it says (DWARF 5, 6.4; LSB, "Exception Frames").

gdb unwinds by it and does not tell when it could not. Everything is bounded: it may be anybody's.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

#: Byte order as struct has it, and bytes of an address.
Form: TypeAlias = tuple[str, int]
#: Gives memory: address, size; raises what its maker says if it cannot.
Read: TypeAlias = Callable[[int, int], bytes]
#: The CFA as register and offset, and at which offset from it each register is saved.
Rules: TypeAlias = tuple[tuple[int | None, int], dict[int, int]]

_FORMATS = {2: "H", 3: "I", 4: "Q", 10: "h", 11: "i", 12: "q"}
#: Bytes of one entry.
MAX_ENTRY_SIZE = 1 << 16
# Of a program: registers of any processor, and rows remembered.
_MAX_REGISTERS, _MAX_KEPT = 1 << 10, 64


class DamagedError(Exception):
    """What is there is no call frame information, or is cut."""


class Common(NamedTuple):
    """What the FDEs of a CIE share.

    Attributes:
        code: the factor of distances in code.
        data: that of offsets from the CFA.
        encoding: of addresses.
        extra: each FDE has data of its augmentation.
        return_register: the DWARF number of the column that has the return address.
        program: what is true where the code begins.
    """

    code: int
    data: int
    encoding: int
    extra: bool
    return_register: int
    program: bytes


class Entry:
    """What an FDE and its CIE say of the code from ``start`` to ``end``; see ``rules``."""

    def __init__(self, start: int, end: int, common: Common, program: bytes, form: Form) -> None:
        self.start, self.end, self._common, self._program, self._form = start, end, common, program, form

    @property
    def return_register(self) -> int:
        """The DWARF number of the column that has the return address."""
        return self._common.return_register

    def rules(self, pc: int) -> Rules | None:
        """The CFA as (register, offset), and the offset from it at which each register is saved, at ``pc``.

        None if an expression is needed for it.
        """
        initial = _State()
        if not initial.run(self._common.program, self._common, self.start, self.start, self._form):
            return None
        state = initial.copy()
        if not state.run(self._program, self._common, self.start, pc, self._form, initial):
            return None
        return state.cfa, state.saved


class _State:
    """A row of the table that a program describes."""

    def __init__(self) -> None:
        self.cfa: tuple[int | None, int] = (None, 0)
        self.saved: dict[int, int] = {}
        self.kept: list[Rules] = []

    def copy(self) -> "_State":
        new = _State()
        new.cfa, new.saved = self.cfa, dict(self.saved)
        return new

    def run(
        self, program: bytes, common: Common, location: int, pc: int, form: Form, initial: "_State | None" = None
    ) -> bool:
        """Execute until the row that ``pc`` is in; False if an instruction is not known or needs an expression."""
        data = Bytes(program, 0, form)
        while data.at < len(program):
            code = data.number("B")
            high, low = code & 0xC0, code & 0x3F
            if high == 0x40 or 1 <= code <= 4:
                location += self._advance(code, low, data) * common.code
                if location > pc:
                    return True
            elif not self._define(high, code, low, data, common, initial):
                return False
        return True

    @staticmethod
    def _advance(code: int, low: int, data: "Bytes") -> int:
        if code == 1:  # DW_CFA_set_loc: with this encoding only ever in code that is not ours to judge
            raise DamagedError
        return low if code & 0xC0 else data.number({2: "B", 3: "H", 4: "I"}[code])

    def _define(self, high: int, code: int, low: int, data: "Bytes", common: Common, initial: "_State | None") -> bool:
        factor = common.data
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

    def _keep(self) -> None:
        if len(self.kept) == _MAX_KEPT or len(self.saved) > _MAX_REGISTERS:
            raise DamagedError
        self.kept.append((self.cfa, dict(self.saved)))

    def _restore(self, register: int, initial: "_State | None") -> None:
        if initial is not None and register in initial.saved:
            self.saved[register] = initial.saved[register]
        else:
            self.saved.pop(register, None)


class Bytes:
    """Reads numbers one after the other; ``address`` is that of the first byte."""

    def __init__(self, data: bytes, address: int, form: Form) -> None:
        self.data, self.address, self.at = data, address, 0
        self._order, self.word = form

    def number(self, code: str) -> int:
        """The next number, of a type as struct names it."""
        try:
            value: int = struct.unpack_from(self._order + code, self.data, self.at)[0]
        except struct.error as error:
            raise DamagedError from error
        self.at += struct.calcsize("=" + code)
        return value

    def uleb(self) -> int:
        """An unsigned number of variable length (DWARF 5, 7.6)."""
        value = shift = 0
        while shift < 70:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value
        raise DamagedError

    def sleb(self) -> int:
        """A signed one."""
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> bits - 1 & 1 else value

    def pointer(self, encoding: int) -> int:
        """A pointer as ``DW_EH_PE_...`` says; only those that code's addresses and sizes have."""
        base = self.address + self.at if encoding & 0x70 == 0x10 else 0
        kind = encoding & 0x0F
        if kind in (1, 9):
            value = self.uleb() if kind == 1 else self.sleb()
        else:
            value = self.number(_FORMATS.get(kind, "Q" if self.word == 8 else "I"))
        return base + value & (1 << 8 * self.word) - 1


def common_information(data: Bytes, eh_frame: bool) -> Common:
    """What the FDEs of a CIE share; ``data`` is at its version."""
    version = data.number("B")
    end = data.data.find(b"\0", data.at)
    if end < 0:
        raise DamagedError
    letters, data.at = data.data[data.at : end], end + 1
    if not eh_frame and version >= 4:
        data.at += 2  # sizes of an address and of a segment selector
    code, factor, encoding, extra = data.uleb(), data.sleb(), 0, letters[:1] == b"z"
    return_register = data.number("B") if version == 1 else data.uleb()
    if extra:
        size = data.uleb()
        end = data.at + size
        for letter in letters[1:]:
            if letter == ord("R"):
                encoding = data.number("B")
            elif letter == ord("P"):
                data.pointer(data.number("B"))
            elif letter == ord("L"):
                data.at += 1
        data.at = end
    elif letters:
        raise DamagedError
    return Common(code, factor, encoding, extra, return_register, data.data[data.at :])


def description(data: Bytes, common: Common, form: Form) -> Entry:
    """The entry of an FDE; ``data`` is behind its pointer to the CIE."""
    start = data.pointer(common.encoding)
    size = data.pointer(common.encoding & 0x0F)
    if common.extra:
        data.at += data.uleb()
    return Entry(start, start + size, common, data.data[data.at :], form)
