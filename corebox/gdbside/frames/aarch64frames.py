"""The callers of aarch64 code that gdb cannot find or would find wrongly (AAPCS64, 6.4.6, "The frame pointer").

A frame record has the caller's frame pointer and the return address; where in the frame it is the callee chooses. So
the caller's stack pointer follows from its own record: its unwind information says how far from the CFA that is.
"""

import gdb
import gdb.unwinder

from corebox.gdbside.frames import aarch64
from corebox.gdbside.frames.cfi import Entry
from corebox.gdbside.frames.codemap import Memory
from corebox.gdbside.frames.evidence import evidence, thread_number

_REGISTERS = (*(f"x{number}" for number in range(31)), "sp")  # by DWARF's numbers
_KEPT, _BASE, _LINK, _SP = 19, 29, 30, 31  # from x19 on a callee keeps them (AAPCS64, 6.1.1)
_MAX_FRAME_SIZE = 1 << 14


def from_trampoline(known: Memory, pending: gdb.PendingFrame, entry: Entry, pc: int) -> gdb.UnwindInfo | None:
    """The caller of a frame whose return address was saved above its CFA, where its callers' frames should begin.

    So it is with the dynamic linker's lazy binding: the first entry of the PLT saves two words before it jumps to
    _dl_runtime_resolve, which says where they are, and not that they belong to it. gdb would unwind the caller with a
    stack pointer that is 16 bytes too low, find those words in its place, and show the caller twice.
    """
    rules = entry.rules(pc)
    if rules is None or rules[1].get(entry.return_register, -1) < 0 or rules[0][0] is None:
        return None
    (register, offset), saved = rules
    values = {number: _register(pending, name) for number, name in enumerate(_REGISTERS)}
    base = values.get(register) if register is not None else None
    if base is None:
        return None
    for number, place in saved.items():
        values[number] = known.word(base + offset + place)
    values[_SP] = base + offset + saved[entry.return_register] + known.core.word
    identity = gdb.unwinder.FrameId(gdb.Value(base + offset), gdb.Value(entry.start))
    info = pending.create_unwind_info(identity)
    for number, name in enumerate(_REGISTERS):
        value = values[number]
        if number >= _KEPT and value is not None:
            info.add_saved_register(name, gdb.Value(value))
    info.add_saved_register("pc", gdb.Value(values[entry.return_register] or 0))
    return info


class Aarch64Frame:
    """A frame of code without unwind information."""

    def __init__(self, known: Memory, pending: gdb.PendingFrame, pc: int) -> None:
        self.known, self.pending, self.pc = known, pending, pc
        self.sp, self.base, self.link = (_register(pending, _REGISTERS[each]) for each in (_SP, _BASE, _LINK))

    def unwind(self, exact: bool) -> gdb.UnwindInfo | None:
        """The caller where the link register or a sound frame record has it; None leaves it to gdb's guess."""
        if self.sp is None or self.base is None:
            return None
        sound = self.has_record(self.sp, self.base)
        # Code that has called nothing yet is where its link register says: compiled code is never in here itself.
        called = exact and self.link is not None and self.is_compiled_call(self.link)
        if called and self.link is not None and not (sound and self.known.word(self.base + 8) == self.link):
            return self.caller("call", self.link, self.base, self.sp)
        if not sound:
            return None
        outer = self.known.word(self.base + 8) or 0
        owner = self.owner_of_call(outer)
        if owner is not None and not owner.start <= self.pc < owner.end:  # the record is of the function that called
            for at in range(self.sp, min(self.base, self.sp + _MAX_FRAME_SIZE), 8):
                address = self.known.word(at)
                if address is not None and owner.start < address < owner.end and self.is_call(address):
                    return self.caller("frame-pointer", address, self.base, at + 8)
            return None
        return self.caller("frame-pointer", outer, self.known.word(self.base) or 0, self.base + 16)

    def has_record(self, sp: int, base: int) -> bool:
        """Whether a frame record is sound: aligned, on the same stack, above; and so is what it leads to."""
        if base % 8 or base < sp or not self.known.same_mapping(sp, base + 15):
            return False
        outer, address = self.known.word(base), self.known.word(base + 8)
        if outer is None or address is None or not self.known.executable(address):
            return False
        if self.known.code(address - aarch64.CALL_LENGTH, aarch64.CALL_LENGTH) and not self.is_call(address):
            return False
        return outer == 0 or (outer > base and not outer % 8 and self.known.same_mapping(base, outer))

    def is_call(self, address: int) -> bool:
        """Whether a call is before an address."""
        return aarch64.is_call(self.known.code(address - aarch64.CALL_LENGTH, aarch64.CALL_LENGTH))

    def is_compiled_call(self, address: int) -> bool:
        """Whether compiled code has a call before an address."""
        return self.known.executable(address) and self.known.entry(address - 1) is not None and self.is_call(address)

    def owner_of_call(self, address: int) -> Entry | None:
        """The compiled function that the call before an address names."""
        code = self.known.code(address - aarch64.CALL_LENGTH, aarch64.CALL_LENGTH)
        target = aarch64.called(code, address)
        return None if target is None else self.known.entry(target)

    def caller(self, how: str, pc: int, base: int, lowest: int) -> gdb.UnwindInfo | None:
        """The caller at ``pc`` with this frame pointer; its stack pointer is ``lowest`` where nothing tells."""
        evidence.found[thread_number(), self.pending.level()] = how
        stack = self.stack_pointer(pc, base, lowest)
        identity = gdb.unwinder.FrameId(gdb.Value(stack), gdb.Value(self.pc))
        info = self.pending.create_unwind_info(identity)
        for name, value in (("pc", pc), ("x29", base), ("sp", stack)):
            info.add_saved_register(name, gdb.Value(value))
        return info

    def stack_pointer(self, pc: int, base: int, lowest: int) -> int:
        """The caller's, by its unwind information: its frame record is where that has saved these two registers."""
        entry = self.known.entry(pc - 1)
        rules = entry.rules(pc - 1) if entry else None
        if rules is None:
            return lowest
        (register, offset), saved = rules
        record = saved.get(_BASE)
        if register != _SP or record is None or saved.get(_LINK) != record + 8:
            return lowest
        stack = base - record - offset
        return stack if lowest <= stack < lowest + _MAX_FRAME_SIZE else lowest


def _register(pending: gdb.PendingFrame, name: str) -> int | None:
    """Its value; None if it is not known."""
    try:
        return int(pending.read_register(name)) & (1 << 64) - 1
    except (gdb.error, ValueError):
        return None
