"""Runs inside gdb: unwinds code without unwind information, and ends a stack where the evidence ends.

gdb asks this before its own unwinders, for each frame. It leaves to gdb what unwind information tells, and the
frames of signal handlers. What gdb guesses it does not leave to it unproved: gdb takes whatever is on top of the stack
for a return address if it knows nothing of the code, and invents frames. What each processor has to offer instead is in
the modules beside this one; where that is nothing but gdb's guess, what it leads to must follow a call.
"""

import re

import gdb
import gdb.unwinder

from corebox.gdbside.frames.aarch64frames import Aarch64Frame, from_trampoline
from corebox.gdbside.frames.cfi import Entry
from corebox.gdbside.frames.codemap import Memory
from corebox.gdbside.frames.evidence import NO_CODE, evidence, thread_number
from corebox.gdbside.frames.processors import AARCH64, AMD64, I386, PROCESSORS
from corebox.gdbside.frames.x86frames import X86Frame

_ID = re.compile(r"\{stack=(0x[0-9a-f]+),code=(0x[0-9a-f]+),!special\}")


class Unwinder(gdb.unwinder.Unwinder):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("corebox")

    def __call__(self, pending: gdb.PendingFrame) -> gdb.UnwindInfo | None:
        """What is known of the caller of ``pending``; None leaves it to gdb."""
        known = evidence.open()
        if known is None:
            return None
        pc, level, processor = pending.pc(), pending.level(), PROCESSORS.get(_name(pending))
        exact = level == 0 or _is_interrupted(level)
        if not known.executable(pc):
            if not exact:
                return _none_of(pending, NO_CODE.format(pc))
            if _is_x86(pending):
                return X86Frame(known, pending, pc).after_bad_jump()
            return _of_other_processor(known, pending, None, exact)
        entry = known.entry(pc)
        covered = entry if entry is not None and (exact or known.entry(pc - 1) is not None) else None
        if processor is not None and known.starts_with(pc, processor.signal_returns):
            evidence.trampolines.add((thread_number(), level))
            return None
        if not _is_x86(pending):
            return _of_other_processor(known, pending, covered, exact)
        sized = known.sized(pc, exact) if covered else None
        if sized and sized.switches:
            return X86Frame(known, pending, pc).of_switch(sized)
        if covered and pc == covered.start and (thread_number(), level - 1) in evidence.unmarked:
            return X86Frame(known, pending, pc).of_first_instruction()
        if covered or known.entry(pc if exact else pc - 1) is not None:
            return None
        return X86Frame(known, pending, pc).unwind(exact)


def _is_interrupted(level: int) -> bool:
    """Whether a signal interrupted the frame at ``level``: then it need not be at a call."""
    return (thread_number(), level - 1) in evidence.trampolines


def _of_other_processor(
    known: Memory, pending: gdb.PendingFrame, entry: Entry | None, exact: bool
) -> gdb.UnwindInfo | None:
    """The same where gdb's guesses are better: on other processors they go by the code.

    What a guess leads to must be where a call returns to.
    """
    pc, level, thread = pending.pc(), pending.level(), thread_number()
    guessed, evidence.guessed = evidence.guessed, None
    if guessed == (thread, level - 1) and not exact and not _follows_call(known, pending, pc):
        return _none_of(pending, f"the return address {pc:#x} does not follow a call")
    ours = _name(pending) == AARCH64
    if entry is not None:
        return from_trampoline(known, pending, entry, pc) if ours else None
    found = Aarch64Frame(known, pending, pc).unwind(exact) if ours else None
    if found is None:
        evidence.guessed = thread, level
    return found


def _follows_call(known: Memory, pending: gdb.PendingFrame, pc: int) -> bool:
    """Whether a call is before ``pc``; where that is not known, for the processor or the memory, it is believed."""
    processor = PROCESSORS.get(_name(pending))
    if processor is None:
        return True
    code = known.code(pc - processor.max_call_length, processor.max_call_length)
    return not code or processor.is_call(code)


def _name(pending: gdb.PendingFrame) -> str:
    return pending.architecture().name()


def _is_x86(pending: gdb.PendingFrame) -> bool:
    return _name(pending) in (AMD64, I386)


def _inner(level: int) -> gdb.Frame | None:
    """The frame that was called by the one at ``level``, which gdb is about to make."""
    frame: gdb.Frame | None = gdb.newest_frame()
    while frame is not None and frame.level() < level - 1:
        frame = frame.older()
    return frame


def _none_of(pending: gdb.PendingFrame, reason: str) -> gdb.UnwindInfo | None:
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


def register() -> None:
    """Have gdb ask us. Its releases before 14 do not tell an unwinder which frame it is asked about."""
    if hasattr(gdb.PendingFrame, "level"):
        gdb.unwinder.register_unwinder(None, Unwinder(), replace=True)
        if hasattr(gdb.events, "corefile_changed"):
            gdb.events.corefile_changed.connect(evidence.forget)
