"""Runs inside gdb: a thread's frames, each with how it was found, and why the stack ends.

A frame is found by what its callee tells: gdb's unwind information of the callee ("cfi"), the frame pointer
("frame-pointer", unwinder.py), a return address whose call is of this very function ("call"), the reading of the
function's first instructions ("prologue"), or the registers that the kernel saved when it called a signal handler
("signal"). The innermost is where the registers say ("registers").
"""

import re
from collections.abc import Iterator

import gdb

from corebox.gdbside.frames import trampoline
from corebox.gdbside.frames.evidence import NO_CODE, evidence, thread_number

# gdb ends a stack without a reason at main and at the program's entry (backtrace past-main, past-entry), and on some
# processors where it cannot find out how large a frame is.
_WHOLE = (gdb.FRAME_UNWIND_OUTERMOST, gdb.FRAME_UNWIND_NO_REASON)

# How a frame is found whose program counter is a register's: what jumped to no code is there all the same.
_TRUE = ("registers", "signal")
_FIRST = ("main", "_start", "clone", "__clone", "clone3", "__clone3", "__clone_internal", "thread_start")
_NAME = re.compile(r"(.+?)(?:\+\d+)?>", re.DOTALL)
_AT_ENTRY, _MAX_ENTRY_LENGTH = 9, 0x40  # getauxval(3); bytes of the code at the entry


class Callers:
    """Iterates over the frames of the selected thread, the innermost first, in pairs with how each was found.

    Attributes:
        end: why there is no frame further out, a sentence without its full stop; known when the iteration is over.
        complete: that is because the thread began there.
    """

    def __init__(self) -> None:
        self.end, self.complete = "gdb found no frame", False

    def __iter__(self) -> Iterator[tuple[gdb.Frame, str]]:
        try:
            frame: gdb.Frame | None = gdb.newest_frame()
            unwind, reason, last = "registers", 0, None
            while frame is not None:
                if unwind not in _TRUE and not _is_code(frame.pc()):
                    self.end = NO_CODE.format(frame.pc())
                    return
                yield frame, unwind
                last, frame = frame, frame.older()
                # Not before: where a register is not known gdb raises here what kills it (frapy_unwind_stop_reason).
                reason, unwind = last.unwind_stop_reason(), _how_caller_is_found(last, unwind)
        except (gdb.error, RuntimeError) as error:
            self.end = str(error)
            return
        if last is None:
            return
        ours = evidence.ends.get(thread_number())
        if _is_first(last, reason):
            self.end, self.complete = "this is the thread's first function", True
        elif ours and reason == gdb.FRAME_UNWIND_SAME_ID:
            self.end, self.complete = ours
        elif reason in _WHOLE:
            self.end = f"the core does not show what called the code at {last.pc():#x}"
        else:
            self.end = gdb.frame_stop_reason_string(reason)


def place(frame: gdb.Frame) -> tuple[str | None, gdb.Symtab_and_line]:
    """The function of a frame, and where in the source it is."""
    if not trampoline.interrupted(frame):
        return frame.name(), frame.find_sal()
    block = gdb.block_for_pc(frame.pc())
    while block is not None and block.function is None:
        block = block.superblock
    named = _NAME.match(gdb.format_address(frame.pc()).partition("<")[2])
    function = block.function if block else None
    return function.name if function else named and named[1], gdb.find_pc_line(frame.pc())


def _is_code(address: int) -> bool:
    """Whether an address is in executable memory, as far as the core tells."""
    known = evidence.open()
    return known is None or known.executable(address)


def _is_first(frame: gdb.Frame, reason: int) -> bool:
    """Whether the outermost frame is of the function that a thread began with.

    That is main, where gdb ends a stack whatever is behind it, the entry, the function of the C library that a thread
    begins in, or one whose unwind information says that nothing called it (DWARF 5, 6.4.4).
    """
    known = evidence.open()
    if known is None or frame.name() in _FIRST:
        return True
    if 0 <= frame.pc() - known.core.auxv.get(_AT_ENTRY, 0) < _MAX_ENTRY_LENGTH:
        return True
    return reason in (*_WHOLE, gdb.FRAME_UNWIND_NO_SAVED_PC) and known.entry(frame.pc()) is not None


def _how_caller_is_found(frame: gdb.Frame, unwind: str) -> str:
    """How the caller of ``frame``, which was itself found by ``unwind``, is found."""
    kind = frame.type()
    if kind == gdb.INLINE_FRAME:  # one frame of the machine, several of the source
        return unwind
    if kind == gdb.SIGTRAMP_FRAME or trampoline.is_trampoline(frame):
        return "signal"
    known = evidence.open()
    found = evidence.found.get((thread_number(), frame.level()))
    if found or known is None or kind == gdb.TAILCALL_FRAME:
        return found or "cfi"
    pc = frame.pc()
    return "cfi" if known.entry(pc) or known.entry(pc - 1) else "prologue"
