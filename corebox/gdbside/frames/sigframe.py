"""Runs inside gdb: which signal a signal handler was called for, from the frame that the kernel put on the stack.

Layouts: Linux, arch/x86/include/asm/sigframe.h and uapi/asm/sigcontext.h; arch/arm64 and arch/riscv, kernel/signal.c.
"""

from typing import NamedTuple

import gdb

from corebox.gdbside.frames import trampoline

# In rt_sigframe of x86-64, from the stack pointer within the trampoline: siginfo, and of the context err, trapno, cr2.
_SIGINFO, _TRAPNO, _CR2 = 304, 200, 216
_PAGE_FAULT, _PROTECTION = 14, 13
_TRAPS = {3: 5, 6: 4, 16: 8, 17: 7, 19: 8}  # exception (Intel SDM 3A, 6.15) to signal
_SYSCALL = b"\x0f\x05"
_GREATEST_SIGNAL, _FPE_INTDIV = 64, 1
_CODES = range(-60, 0x100)


class Signal(NamedTuple):
    """Number, si_code, address of the fault and sender; None for what is not known."""

    signal: int
    code: int
    address: int
    sender: int


def signals(frames, core):
    """Index of each signal frame, the innermost first, with its signal, None if that cannot be told."""
    for index, frame in enumerate(frames):
        if frame.type() == gdb.SIGTRAMP_FRAME or trampoline.is_trampoline(frame):
            try:
                yield index, _signal(frame, core)
            except (gdb.error, gdb.MemoryError, ValueError, OverflowError):
                yield index, None


def _signal(frame, core):
    machine = frame.architecture().name()
    start = int(frame.read_register("sp"))
    if "x86-64" in machine:
        return _of_amd64(frame, core, start)
    if "i386" in machine:
        number, pointer = core.unpack("II", _read(start, 8), 0)
        found = _siginfo(core, pointer)
        return found if found and found.signal == number else Signal(number, None, None, None)
    if "aarch64" in machine or "riscv" in machine or machine.startswith("arm"):
        return _siginfo(core, start)
    return None


def _read(address, size):
    return gdb.selected_inferior().read_memory(address, size).tobytes()


def _siginfo(core, address):
    """A siginfo_t, or None if there is none: the kernel fills it for handlers with SA_SIGINFO only."""
    try:
        data = _read(address, 32)
    except gdb.MemoryError:
        return None
    number, error, code = core.unpack("iii", data, 0)
    if not 0 < number <= _GREATEST_SIGNAL or error or code not in _CODES:
        return None
    union = 16 if core.word == 8 else 12
    if code <= 0:
        return Signal(number, code, None, core.unpack("i", data, union)[0])
    return Signal(number, code, core.unpack("Q" if core.word == 8 else "I", data, union)[0], None)


def _of_amd64(frame, core, start):
    """The siginfo, unless what is in its place is older than the signal: then it is not of the exception."""
    info = _siginfo(core, start + _SIGINFO)
    counter = int(frame.older().pc()) & (1 << 64) - 1
    if _code(counter - 2, 2) == _SYSCALL:  # within a system call nothing faults
        return info if info and info.code <= 0 else None
    raised = _exception(frame, core, start, counter)
    if raised is None or (info and info.signal == raised.signal and info.address in (raised.address, None)):
        return info
    return info if info and info.code > 0 and info.signal == raised.signal and info.address == counter else raised


def _code(address, size):
    try:
        return _read(address, size)
    except (gdb.error, gdb.MemoryError, OverflowError):
        return b""


def _exception(frame, core, start, counter):
    """By the processor's exception, which the context keeps (of this fault, or of an earlier one of the thread)."""
    trap, cr2 = core.unpack("Q", _read(start + _TRAPNO, 8), 0)[0], core.unpack("Q", _read(start + _CR2, 8), 0)[0]
    if trap == _PAGE_FAULT:
        return Signal(11, 1 if core.at(cr2) is None else 2, cr2, None)
    if trap == _PROTECTION:
        return Signal(11, 0x80, None, None)
    if trap == 0 and _code(counter, 1) and "div" in frame.architecture().disassemble(counter)[0]["asm"]:
        return Signal(8, _FPE_INTDIV, counter, None)
    return Signal(_TRAPS[trap], None, counter, None) if trap in _TRAPS else None
