"""Runs inside gdb: unwinds code without unwind information, and ends a stack where the evidence ends.

gdb asks this before its own unwinders, for each frame. It leaves to gdb what unwind information tells, and the
frames of signal handlers. What gdb guesses it does not leave to it: gdb takes whatever is on top of the stack for a
return address if it knows nothing of the code, and invents frames. On x86-64 code that a JIT made, hand-written
assembly, and code of missing modules are unwound by frame pointer where the chain is sound (System V ABI, 3.2.2).
"""

import re
import struct

import gdb
import gdb.unwinder

from corebox.errors import CoreboxError
from corebox.gdbside.frames import amd64, codemap

NO_CODE = "the return address {:#x} is not in executable memory"

_AMD64, _AARCH64, _I386 = "i386:x86-64", "aarch64", "i386"
_MAX_FUNCTION_LENGTH, _MAX_PROLOGUE_LENGTH, _MAX_FRAME_SIZE = 1 << 16, 1 << 10, 1 << 14
# What returns from a signal handler, rt_sigreturn(2) and sigreturn(2): gdb knows the trampolines by these instructions
# too (gdb/amd64-linux-tdep.c and its like).
_SIGRETURN = {
    _AMD64: (b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05",),
    _I386: (b"\xb8\xad\x00\x00\x00\xcd\x80", b"\x58\xb8\x77\x00\x00\x00\xcd\x80"),
    _AARCH64: (b"\x68\x11\x80\xd2\x01\x00\x00\xd4",),
}
# By DWARF's numbers; from x19 on a callee keeps them (AAPCS64, 6.1.1).
_AARCH64_REGISTERS = (*(f"x{number}" for number in range(31)), "sp")
_AARCH64_KEPT, _AARCH64_SP = 19, 31
# Masks and values of bl, blr, and blraa and its like (Arm ARM, C6.2).
_AARCH64_CALLS = ((0xFC000000, 0x94000000), (0xFFFFFC1F, 0xD63F0000), (0xFEFFF800, 0xD63F0800))
_BL = b"\x00\x00\x00\x94"
_ID = re.compile(r"\{stack=(0x[0-9a-f]+),code=(0x[0-9a-f]+),!special\}")
_AT_CALL = re.compile(r"<(.*)\+(\d+)>", re.DOTALL)


class Evidence:
    """What was found out while stacks were unwound.

    Attributes:
        memory: the core's, None if no core can be read.
        found: for (thread, level) how the caller of that frame was found, if not by gdb.
        trampolines: (thread, level) of frames that return from a signal: what called such a frame was interrupted, and
            need not be at a call. gdb's own frames must not be asked, while it makes one of them.
        unmarked: those of them that gdb takes for frames of ordinary functions.
        ends: for a thread why its stack ends, if it was this unwinder that ended it, and whether it is complete.
        guessed: the thread and level of the frame before, if its caller is a guess of gdb's.
    """

    def __init__(self):
        self.memory, self.found, self.ends, self.guessed = None, {}, {}, None
        self.trampolines, self.unmarked = set(), set()

    def open(self):
        """The memory of the core that is open, or None."""
        if self.memory is None:
            try:
                self.memory = codemap.Memory()
            except (CoreboxError, OSError):
                return None
        return self.memory

    def forget(self, _event=None):
        """Another core is open, of which gdb may have made frames already."""
        self.memory, self.found, self.ends, self.guessed = None, {}, {}, None
        self.trampolines, self.unmarked = set(), set()
        gdb.invalidate_cached_frames()


evidence = Evidence()


def thread_number():
    """The selected thread's number in gdb."""
    thread = gdb.selected_thread()
    return thread.global_num if thread else 0


class Unwinder(gdb.unwinder.Unwinder):
    """See the module."""

    def __init__(self):
        super().__init__("corebox")

    def __call__(self, pending):
        """What is known of the caller of ``pending``; None leaves it to gdb."""
        known = evidence.open()
        if known is None:
            return None
        pc, level = pending.pc(), pending.level()
        exact = level == 0 or _is_interrupted(level)
        if not known.executable(pc):
            if not exact:
                return _none_of(pending, NO_CODE.format(pc))
            if _is_amd64(pending):
                return _Amd64(known, pending, pc).after_bad_jump()
            return _of_other_processor(known, pending, None)
        entry = known.entry(pc)
        covered = entry is not None and (exact or known.entry(pc - 1) is not None)
        if known.starts_with(pc, _SIGRETURN.get(_name(pending), ())):
            evidence.trampolines.add((thread_number(), level))
            return None
        if not _is_amd64(pending):
            return _of_other_processor(known, pending, entry if covered else None)
        if covered and pc == entry.start and (thread_number(), level - 1) in evidence.unmarked:
            return _Amd64(known, pending, pc).of_first_instruction()
        if covered or known.entry(pc if exact else pc - 1) is not None:
            return None
        return _Amd64(known, pending, pc).unwind(exact)


def _is_interrupted(level):
    """Whether a signal interrupted the frame at ``level``: then it need not be at a call."""
    return (thread_number(), level - 1) in evidence.trampolines


def _of_other_processor(known, pending, entry):
    """The same where gdb's guesses are better: on other processors they go by the frame pointer or the code.

    What a guess leads to must be where a call returns to, if that is compiled code.
    """
    pc, level, thread = pending.pc(), pending.level(), thread_number()
    guessed, evidence.guessed = evidence.guessed, (thread, level) if entry is None else None
    if entry is None:
        return None
    if guessed == (thread, level - 1) and not _is_interrupted(level) and not _follows_call(known, _name(pending), pc):
        return _none_of(pending, f"the return address {pc:#x} does not follow a call")
    return _from_trampoline(known, pending, entry, pc) if _name(pending) == _AARCH64 else None


def _follows_call(known, processor, pc):
    """Whether a call is before ``pc``; of a processor that is not known to this it is believed."""
    if processor == _AARCH64:
        (word,) = struct.unpack("<I", known.code(pc - 4, 4) or _BL)
        return any(word & mask == value for mask, value in _AARCH64_CALLS)
    return processor != _I386 or amd64.is_call(known.code(pc - 7, 7))


def _name(pending):
    return pending.architecture().name()


def _is_amd64(pending):
    return _name(pending) == _AMD64


def _inner(level):
    """The frame that was called by the one at ``level``, which gdb is about to make."""
    frame = gdb.newest_frame()
    while frame is not None and frame.level() < level - 1:
        frame = frame.older()
    return frame


def _none_of(pending, reason):
    """Let there be no frame here: gdb drops one with the identity of a frame that there is, and ends the stack."""
    evidence.ends[thread_number()] = reason, False
    frame = _inner(pending.level())
    while frame is not None:
        identity = _ID.fullmatch(str(frame))
        if identity:
            stack, code = (gdb.Value(int(each, 16)) for each in identity.groups())
            return pending.create_unwind_info(gdb.unwinder.FrameId(stack, code))
        frame = frame.newer()
    return None


def _from_trampoline(known, pending, entry, pc):
    """The caller of a frame whose return address was saved above its CFA, where its callers' frames should begin.

    So it is with the dynamic linker's lazy binding on aarch64: the first entry of the PLT saves two words before it
    jumps to _dl_runtime_resolve, which says where they are, and not that they belong to it. gdb would unwind the
    caller with a stack pointer that is 16 bytes too low, find those words in its place, and show the caller twice.
    """
    rules = entry.rules(pc)
    if rules is None or rules[1].get(entry.return_register, -1) < 0 or rules[0][0] is None:
        return None
    (register, offset), saved = rules
    values = {number: _register(pending, name) for number, name in enumerate(_AARCH64_REGISTERS)}
    base = values.get(register)
    if base is None:
        return None
    for number, place in saved.items():
        values[number] = known.word(base + offset + place)
    values[_AARCH64_SP] = base + offset + saved[entry.return_register] + known.core.word
    identity = gdb.unwinder.FrameId(gdb.Value(base + offset), gdb.Value(entry.start))
    info = pending.create_unwind_info(identity)
    for number, name in enumerate(_AARCH64_REGISTERS):
        if number >= _AARCH64_KEPT and values[number] is not None:
            info.add_saved_register(name, gdb.Value(values[number]))
    info.add_saved_register("pc", gdb.Value(values[entry.return_register] or 0))
    return info


def _register(pending, name):
    """Its value; None if it is not known."""
    try:
        return int(pending.read_register(name)) & (1 << 64) - 1
    except (gdb.error, ValueError):
        return None


class _Amd64:
    """A frame of x86-64 code without unwind information, with its registers."""

    def __init__(self, known, pending, pc):
        self.known, self.pending, self.pc = known, pending, pc
        self.sp, self.bp = _register(pending, "rsp"), _register(pending, "rbp")

    def after_bad_jump(self):
        """The innermost frame is no code: if it was called, the return address is on top of the stack."""
        top = self.known.word(self.sp)
        if self.is_return_address(top):
            # A return would have left the address that it took just below the stack pointer; a call or jump does not.
            called = amd64.calls_indirectly(self.known.code(top - 7, 7)) or self.known.word(self.sp - 8) != self.pc
            return self.caller("call" if called else "prologue", self.sp)
        return self.end(f"the program counter {self.pc:#x} is not in executable memory")

    def of_first_instruction(self):
        """Nothing is on the stack yet but the return address. gdb would look before it, where another function ends."""
        return self.caller("cfi", self.sp)

    def unwind(self, exact):
        """The caller by the soundest way that there is."""
        top = None if self.sp is None else self.known.word(self.sp)
        if top is None:
            return self.end("the stack pointer does not point into a stack")
        java = self.known.compiled_java(self.pc)
        found = java and self.of_java(java, exact)
        if found:
            return found
        pushed = self.pushed()
        address = self.known.word(self.sp + pushed.depth) if pushed is not None else None
        if self.is_return_address(address):
            saved = None if pushed.saved_base is None else self.known.word(self.sp + pushed.saved_base)
            return self.caller("call" if self.calls_here(address) else "prologue", self.sp + pushed.depth, saved)
        if self.is_return_address(top) and (self.calls_here(top) or exact):
            return self.caller("call" if self.calls_here(top) else "prologue", self.sp)
        if exact and self.known.code(self.pc - 1, 4) in [amd64.PUSH + move for move in amd64.MOVES]:
            return self.caller("prologue", self.sp + 8)
        mapping = self.known.core.at(self.pc)
        if self.bp == 0 and mapping is not None and mapping.path and not exact:
            # A function that does not keep a frame pointer may have 0 there by chance.
            kept = evidence.found.get((thread_number(), self.pending.level() - 1)) == "frame-pointer"
            return self.end("the frame pointer is 0, as it is when a thread begins", complete=kept)
        if self.has_frame_pointer():
            return self.by_frame_pointer()
        near = self.bp is not None and 0 <= self.bp - self.sp < _MAX_FRAME_SIZE
        if near and self.known.word(self.bp + 8) is None:
            return self.end(f"the stack's memory at {self.bp:#x} is not in the core")
        return self.end(f"the code at {self.pc:#x} has neither unwind information nor a valid frame pointer")

    def of_java(self, code, exact):
        """The caller of code that HotSpot made, by the size that its frames have; None if this one is not made yet."""
        if code.interpreter and self.has_frame_pointer():
            stack = self.known.word(self.bp - 8)  # of the sender, which may have made room for arguments
            fits = stack is not None and not stack % 8 and 16 <= stack - self.bp < _MAX_FRAME_SIZE
            return self.caller("frame-pointer", self.bp + 8, self.known.word(self.bp), stack if fits else None)
        at = self.sp + code.frame - 8
        address = self.known.word(at)
        if code.frame < 16 or (exact and self.pc < code.whole) or address is None:
            return None
        if not self.is_return_address(address) and self.known.compiled_java(address) is None:
            return None
        return self.caller("runtime", at, self.known.word(at - 8))

    def by_frame_pointer(self):
        """The caller whose frame rbp leads to: this frame's own, or that of the compiled function that called it.

        Then the call before the return address names that function, and where it called this frame from lies below.
        """
        code = self.known.code(self.known.word(self.bp + 8) - 5, 5)
        target = self.known.word(self.bp + 8) + int.from_bytes(code[1:], "little", signed=True)
        owner = self.known.entry(target) if code[:1] == b"\xe8" else None
        if owner is not None and not owner.start <= self.pc < owner.end:
            for at in range(self.sp, min(self.bp, self.sp + _MAX_FRAME_SIZE), 8):
                address = self.known.word(at)
                if address is not None and owner.start < address < owner.end and self.returns_to(owner, address, at):
                    return self.caller("frame-pointer", at)
        return self.caller("frame-pointer", self.bp + 8, self.known.word(self.bp))

    def returns_to(self, owner, address, at):
        """Whether a return address on the stack is the one of ``owner``'s call, by where that has its own frame."""
        rules = owner.rules(address - 1)
        if rules is None or not self.is_return_address(address):
            return False
        register, offset = rules[0]
        return {6: self.bp, 7: at + 8}.get(register, 0) + offset == self.bp + 16  # DWARF's numbers of rbp and rsp

    def pushed(self):
        """What a known function that makes no frame with rbp has put on the stack; None if not known."""
        start = _start_of_function(self.pc)
        if start is None or self.pc - start > _MAX_PROLOGUE_LENGTH:
            return None
        code = self.known.code(start, self.pc - start)
        if len(code) < self.pc - start:
            return None
        try:
            lines = self.pending.architecture().disassemble(start, self.pc - 1) if code else []
        except gdb.error:
            return None
        return amd64.pushed((code[each["addr"] - start :][: each["length"]], each["asm"]) for each in lines)

    def caller(self, how, at, base=None, stack=None):
        """The caller whose return address is at ``at``; ``base`` is its frame pointer if that was saved.

        Its stack pointer is ``stack`` if that is not behind the return address.
        """
        evidence.found[thread_number(), self.pending.level()] = how
        info = self.pending.create_unwind_info(gdb.unwinder.FrameId(gdb.Value(at + 8), gdb.Value(self.pc)))
        info.add_saved_register("rip", gdb.Value(self.known.word(at)))
        info.add_saved_register("rsp", gdb.Value(at + 8 if stack is None else stack))
        info.add_saved_register("rbp", gdb.Value(self.bp if base is None else base))
        return info

    def end(self, reason, complete=False):
        """There is no caller: gdb ends a stack whose next frame would be the same again."""
        evidence.ends[thread_number()] = reason, complete
        stack = gdb.Value(self.sp or 0)
        info = self.pending.create_unwind_info(gdb.unwinder.FrameId(stack, gdb.Value(self.pc)))
        info.add_saved_register("rip", gdb.Value(self.pc))
        info.add_saved_register("rsp", stack)
        if self.bp is not None:  # gdb asks for that frame, too, and the answer must be the same
            info.add_saved_register("rbp", gdb.Value(self.bp))
        return info

    def has_frame_pointer(self):
        """Whether rbp is that of a sound frame: aligned, on the same stack, above; and so is what it leads to."""
        if self.bp is None or self.bp % 8 or self.bp < self.sp or not self.known.same_mapping(self.sp, self.bp + 15):
            return False
        base, address = self.known.word(self.bp), self.known.word(self.bp + 8)
        if base is None or address is None or not self.known.executable(address):
            return False
        if self.known.entry(address - 1) is not None:  # compiled code returns to where it called
            return self.is_return_address(address) or self.known.starts_with(address, _SIGRETURN[_AMD64])
        ascends = base > self.bp and not base % 8 and self.known.same_mapping(self.bp, base)
        return ascends or base == 0

    def is_return_address(self, address):
        """Whether code is at an address, and before it a call."""
        if address is None or not self.known.executable(address):
            return False
        return amd64.is_call(self.known.code(address - 7, 7))

    def calls_here(self, address):
        """Whether the call before ``address`` is of the function that this frame is in."""
        target = amd64.called(self.known, address)
        if target is None:
            return False
        start = _start_of_function(self.pc)
        return target == start if start is not None else 0 <= self.pc - target < _MAX_FUNCTION_LENGTH


def _start_of_function(pc):
    """Where the symbol is that ``pc`` belongs to, or None; gdb's Python API has it in words only."""
    found = _AT_CALL.search(gdb.format_address(pc - 1))
    return None if found is None else pc - 1 - int(found[2])


def register():
    """Have gdb ask us. Its releases before 14 do not tell an unwinder which frame it is asked about."""
    if hasattr(gdb.PendingFrame, "level"):
        gdb.unwinder.register_unwinder(None, Unwinder(), replace=True)
        if hasattr(gdb.events, "corefile_changed"):
            gdb.events.corefile_changed.connect(evidence.forget)
