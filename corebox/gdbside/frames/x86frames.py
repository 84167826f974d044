"""The callers of x86 code without unwind information, of 64 and of 32 bits, each by the soundest way that there is.

Code that a JIT made, hand-written assembly, and code of missing modules keep a frame pointer or none (System V ABI,
x86-64 3.2.2, i386 2.2.2). The register of the frame pointer may therefore still be the caller's: then what it leads to
is the caller's caller. Code in memory that no file is mapped to has a frame pointer by convention of all JITs; of other
code it is looked for what tells.
"""

import re
from collections.abc import Iterator

import gdb
import gdb.unwinder

from corebox.gdbside.frames import x86
from corebox.gdbside.frames.cfi import Entry
from corebox.gdbside.frames.codemap import Memory, Sized
from corebox.gdbside.frames.evidence import evidence, thread_number
from corebox.gdbside.frames.hotspot import Blob
from corebox.gdbside.frames.processors import AMD64, PROCESSORS

_MAX_PROVED = 64
_MAX_FUNCTION_LENGTH, _MAX_PROLOGUE_LENGTH, _MAX_FRAME_SIZE = 1 << 16, 1 << 10, 1 << 14
_MAX_PUSHED = 1 << 10  # bytes
_REGISTERS = {8: ("rip", "rsp", "rbp"), 4: ("eip", "esp", "ebp")}
_DWARF_BASE, _DWARF_STACK = {8: 6, 4: 5}, {8: 7, 4: 4}  # DWARF's numbers of the frame and of the stack pointer
_AT_CALL = re.compile(r"<(.*)\+(\d+)>", re.DOTALL)


class X86Frame:
    """A frame of code without unwind information, with its registers."""

    def __init__(self, known: Memory, pending: gdb.PendingFrame, pc: int) -> None:
        self.known, self.pending, self.pc = known, pending, pc
        self.word = 8 if pending.architecture().name() == AMD64 else 4
        self.processor = PROCESSORS[pending.architecture().name()]
        self.names = _REGISTERS[self.word]
        self.sp, self.bp = self.register(self.names[1]), self.register(self.names[2])

    def register(self, name: str) -> int | None:
        """Its value; None if it is not known."""
        try:
            return int(self.pending.read_register(name)) & (1 << 8 * self.word) - 1
        except (gdb.error, ValueError):
            return None

    def after_bad_jump(self) -> gdb.UnwindInfo | None:
        """The innermost frame is no code: if it was called, the return address is on top of the stack."""
        top = None if self.sp is None else self.known.word(self.sp)
        if self.sp is not None and top is not None and self.is_return_address(top):
            # A return would have left the address that it took just below the stack pointer; a call or jump does not.
            called = x86.calls_indirectly(self.known.code(top - 7, 7))
            sure = called or self.known.word(self.sp - self.word) != self.pc
            return self.caller("call" if sure else "prologue", self.sp)
        return self.end(f"the program counter {self.pc:#x} is not in executable memory")

    def of_first_instruction(self) -> gdb.UnwindInfo | None:
        """Nothing is on the stack yet but the return address. gdb would look before it, where another function ends."""
        return None if self.sp is None else self.caller("cfi", self.sp)

    def of_switch(self, sized: Sized) -> gdb.UnwindInfo | None:
        """The function goes to another stack, of which unwind information tells nothing."""
        return None if self.sp is None else self.of_known_size(sized, self.sp)

    def unwind(self, exact: bool) -> gdb.UnwindInfo | None:
        """The caller by the soundest way that there is."""
        top = None if self.sp is None else self.known.word(self.sp)
        if self.sp is None or top is None:
            return self.end("the stack pointer does not point into a stack")
        java = self.known.compiled_java(self.pc)
        found = self.of_java(java, self.sp, exact) if java else None
        if found:
            return found
        sized = self.known.sized(self.pc, exact)
        if sized is not None:
            return self.of_known_size(sized, self.sp)
        start = start_of_function(self.pc)
        pushed = self.pushed(start)
        if pushed.depth is not None:
            address = self.known.word(self.sp + pushed.depth)
            if self.is_return_address(address):
                saved = None if pushed.saved_base is None else self.known.word(self.sp + pushed.saved_base)
                return self.caller(self.how(address), self.sp + pushed.depth, saved)
        if self.is_return_address(top) and (self.calls_here(top) or exact):
            return self.caller(self.how(top), self.sp)
        frames = [x86.PUSH + move for move in x86.MOVES[self.word]]
        if exact and self.known.starts_with(self.pc - 1, tuple(frames)):
            return self.caller("prologue", self.sp + self.word)
        found = self.by_call(self.sp) if start is None else None
        return found or self.by_base(self.sp, pushed, exact)

    def how(self, address: int | None) -> str:
        """How a caller is found whose return address is where this function's must be."""
        return "call" if self.calls_here(address) else "prologue"

    def by_call(self, sp: int) -> gdb.UnwindInfo | None:
        """The caller of a function without a name, if its call leads here and it has pushed what lies in between."""
        for at in range(sp, sp + _MAX_PUSHED, self.word):
            address = self.known.word(at)
            if address is None or not self.is_return_address(address):
                continue
            target = x86.called(self.known, address, self.word)
            start = None if target is None else x86.jumped_to(self.known, target, self.word)
            pushed = self.pushed(start) if start is not None and start < self.pc else x86.Pushed(None)
            if pushed.depth == at - sp:
                base = None if pushed.saved_base is None else self.known.word(sp + pushed.saved_base)
                return self.caller("call", at, base)
        return None

    def by_base(self, sp: int, pushed: x86.Pushed, exact: bool) -> gdb.UnwindInfo | None:
        """The caller by the frame pointer, or the reason why there is none."""
        mapping = self.known.core.at(self.pc)
        of_file = mapping is not None and bool(mapping.path)
        if self.bp == 0 and of_file and not exact:
            # A function that does not keep a frame pointer may have 0 there by chance.
            kept = evidence.found.get((thread_number(), self.pending.level() - 1)) == "frame-pointer"
            return self.end("the frame pointer is 0, as it is when a thread begins", complete=kept)
        if self.bp is not None and self.has_frame_pointer(sp, self.bp):
            return self.by_frame_pointer(sp, self.bp, pushed, of_file)
        near = self.bp is not None and 0 <= self.bp - sp < _MAX_FRAME_SIZE
        if near and self.bp is not None and self.known.word(self.bp + self.word) is None:
            return self.end(f"the stack's memory at {self.bp:#x} is not in the core")
        proved = self.proved_callers(sp, sp + _MAX_FRAME_SIZE) if of_file else []
        if len(proved) == 1:
            return self.caller("call", proved[0])
        return self.end(f"the code at {self.pc:#x} has neither unwind information nor a valid frame pointer")

    def of_java(self, code: Blob, sp: int, exact: bool) -> gdb.UnwindInfo | None:
        """The caller of code that HotSpot made, by the size that its frames have; None if this one is not made yet."""
        if self.word != 8:
            return None
        if code.interpreter and self.bp is not None and self.has_frame_pointer(sp, self.bp):
            stack = self.known.word(self.bp - 8)  # of the sender, which may have made room for arguments
            fits = stack is not None and not stack % 8 and 16 <= stack - self.bp < _MAX_FRAME_SIZE
            return self.caller("frame-pointer", self.bp + 8, self.known.word(self.bp), stack if fits else None)
        at = sp + code.frame - 8
        address = self.known.word(at)
        if code.frame < 16 or (exact and self.pc < code.whole) or address is None:
            return None
        if not self.is_return_address(address) and self.known.compiled_java(address) is None:
            return None
        return self.caller("runtime", at, self.known.word(at - 8))

    def of_known_size(self, sized: Sized, sp: int) -> gdb.UnwindInfo | None:
        """The caller of a function whose runtime has a table of the sizes of its frames."""
        at = sp + sized.size
        if sized.first and not self.known.starts_with(self.known.word(at) or 0, self.processor.signal_returns):
            return self.end("this is the first function of a goroutine, or on a stack of Go's runtime", complete=True)
        return self.caller("runtime", at, self.known.word(at - self.word) if sized.size else None)

    def by_frame_pointer(self, sp: int, bp: int, pushed: x86.Pushed, of_file: bool) -> gdb.UnwindInfo | None:
        """The caller whose frame the frame pointer leads to: this frame's own, or that of a function that called it.

        In the latter case the call before the return address may name that function, and where it called this frame
        from lies below.
        """
        outer = self.known.word(bp + self.word)
        if pushed.framed or outer is None:
            return self.caller("frame-pointer", bp + self.word, self.known.word(bp))
        target = x86.called(self.known, outer, self.word)
        owner = self.known.entry(target) if target is not None else None
        if owner is not None and not owner.start <= self.pc < owner.end:
            at = next((at for at, entry in self.returns(sp, bp) if entry.start == owner.start), None)
            return self.caller("frame-pointer", at) if at is not None else self.no_caller()
        if not of_file and self.sets_base():
            return self.caller("frame-pointer", bp + self.word, self.known.word(bp))
        proved = self.proved_callers(sp, bp, by_pointer=not of_file)
        if proved or not of_file:
            return self.caller("call", proved[0]) if len(proved) == 1 else self.no_caller()
        if pushed.depth is not None and not self.calls_here(outer):
            return self.no_caller()
        return self.caller("frame-pointer", bp + self.word, self.known.word(bp))

    def no_caller(self) -> gdb.UnwindInfo:
        """The frame pointer is another function's, and nothing tells where that called this one."""
        return self.end(f"the frame pointer at {self.pc:#x} is of a function further out")

    def returns(self, sp: int, bp: int) -> Iterator[tuple[int, Entry]]:
        """Where return addresses are of compiled functions whose frame the frame pointer is of."""
        for at in range(sp, min(bp, sp + _MAX_FRAME_SIZE), self.word):
            address = self.known.word(at)
            if address is None or not self.is_return_address(address):
                continue
            owner = self.known.entry(address - 1)
            cfa = self.frame_address(owner, address, at) if owner else None
            if owner and cfa == bp + 2 * self.word:
                yield at, owner

    def frame_address(self, owner: Entry, address: int, at: int) -> int | None:
        """The CFA of the compiled function whose return address is at ``at``."""
        rules = owner.rules(address - 1)
        if rules is None:
            return None
        register, offset = rules[0]
        places = {_DWARF_BASE[self.word]: self.bp, _DWARF_STACK[self.word]: at + self.word}
        place = places.get(register) if register is not None else None
        return None if place is None else place + offset

    def sets_base(self) -> bool:
        """Whether some code before this makes the register a frame pointer; True if not all of it can be told."""
        mapping = self.known.core.at(self.pc)
        size = self.pc - mapping.start if mapping else _MAX_FUNCTION_LENGTH
        code = self.known.code(self.pc - size, size) if size < _MAX_FUNCTION_LENGTH else b""
        return not code or x86.sets_base(self.known, self.pc - size, code, self.word)

    def proved_callers(self, sp: int, end: int, by_pointer: bool = False) -> list[int]:
        """Where a return address is of a call of this function in one that was itself called from where it says.

        That call is of its address or, if ``by_pointer``, of one that is not known.
        """
        found = []
        for at in range(sp, end, self.word):
            address = self.known.word(at)
            if address is None:
                break
            if not self.is_return_address(address):
                continue
            fits = x86.called(self.known, address, self.word) is None if by_pointer else self.calls_here(address)
            if fits and self.leads_on(at):
                found.append(at)
        return found

    def leads_on(self, at: int) -> bool:
        """Whether the return address at ``at`` is of a compiled function whose own caller called it.

        And so on outwards, until one has saved the frame pointer, which until then may not be what it was.
        """
        for count in range(_MAX_PROVED):
            address = self.known.word(at)
            owner = self.known.entry(address - 1) if address is not None and self.is_return_address(address) else None
            rules = owner.rules(address - 1) if owner is not None and address is not None else None
            if owner is None or address is None or rules is None:
                return count > 0 and address is not None and self.is_return_address(address)
            cfa = self.frame_address(owner, address, at)
            outer = self.known.word(cfa - self.word) if cfa is not None and cfa > at + self.word else None
            if cfa is None or outer is None or not self.is_return_address(outer):
                return False
            if x86.called(self.known, outer, self.word) not in (owner.start, None):
                return False
            if _DWARF_BASE[self.word] in rules[1]:
                return True
            at = cfa - self.word
        return True

    def pushed(self, start: int | None) -> x86.Pushed:
        """What the function that begins at ``start`` has put on the stack, if it is known."""
        code = self.known.code(start, self.pc - start) if start and self.pc - start <= _MAX_PROLOGUE_LENGTH else b""
        if start is None or len(code) < self.pc - start:
            return x86.Pushed(None)
        try:
            lines = self.pending.architecture().disassemble(start, self.pc - 1) if code else []
        except gdb.error:
            return x86.Pushed(None)
        return x86.pushed(((code[each["addr"] - start :][: each["length"]], each["asm"]) for each in lines), self.word)

    def caller(self, how: str, at: int, base: int | None = None, stack: int | None = None) -> gdb.UnwindInfo | None:
        """The caller whose return address is at ``at``.

        Args:
            how: it was found.
            at: see above.
            base: its frame pointer if that was saved.
            stack: its stack pointer if that is not behind the return address.
        """
        address = self.known.word(at)
        if address is None:
            return None
        evidence.found[thread_number(), self.pending.level()] = how
        identity = gdb.unwinder.FrameId(gdb.Value(at + self.word), gdb.Value(self.pc))
        base = self.bp if base is None else base
        return self.with_registers(identity, address, at + self.word if stack is None else stack, base)

    def with_registers(self, identity: gdb.unwinder.FrameId, pc: int, sp: int, bp: int | None) -> gdb.UnwindInfo:
        """What gdb wants to know of the caller."""
        info = self.pending.create_unwind_info(identity)
        for name, value in zip(self.names, (pc, sp, bp), strict=True):
            if value is not None:
                type_of_it = self.pending.read_register(name).type
                info.add_saved_register(name, gdb.Value(value.to_bytes(self.word, "little"), type_of_it))
        return info

    def end(self, reason: str, complete: bool = False) -> gdb.UnwindInfo:
        """There is no caller: gdb ends a stack whose next frame would be the same again."""
        evidence.ends[thread_number()] = reason, complete
        stack = self.sp or 0
        # gdb asks for that frame, too, and the answer must be the same: so it has the same frame pointer.
        return self.with_registers(gdb.unwinder.FrameId(gdb.Value(stack), gdb.Value(self.pc)), self.pc, stack, self.bp)

    def has_frame_pointer(self, sp: int, bp: int) -> bool:
        """Whether bp is that of a sound frame: aligned, on the same stack, above; and so is what it leads to."""
        if bp % self.word or bp < sp or not self.known.same_mapping(sp, bp + 2 * self.word - 1):
            return False
        base, address = self.known.word(bp), self.known.word(bp + self.word)
        if base is None or address is None or not self.known.executable(address):
            return False
        if self.known.entry(address - 1) is not None:  # compiled code returns to where it called
            returns = self.known.starts_with(address, self.processor.signal_returns)
            return self.is_return_address(address) or returns
        known = self.known.code(address - x86.MAX_CALL_LENGTH, x86.MAX_CALL_LENGTH)
        called = not known or x86.is_call(known) or self.known.compiled_java(address) is not None
        if not called and not self.known.v8_enters(address):
            return False
        ascends = base > bp and not base % self.word and self.known.same_mapping(bp, base)
        return ascends or base == 0

    def is_return_address(self, address: int | None) -> bool:
        """Whether code is at an address, and before it a call."""
        if address is None or not self.known.executable(address):
            return False
        return x86.is_call(self.known.code(address - x86.MAX_CALL_LENGTH, x86.MAX_CALL_LENGTH))

    def calls_here(self, address: int | None) -> bool:
        """Whether the call before ``address`` is of the function that this frame is in."""
        target = None if address is None else x86.called(self.known, address, self.word)
        if target is None:
            return False
        start = start_of_function(self.pc)
        return target == start if start is not None else 0 <= self.pc - target < _MAX_FUNCTION_LENGTH


def start_of_function(pc: int) -> int | None:
    """Where the symbol is that ``pc`` belongs to, or None; gdb's Python API has it in words only."""
    found = _AT_CALL.search(gdb.format_address(pc - 1))
    return None if found is None else pc - 1 - int(found[2])
