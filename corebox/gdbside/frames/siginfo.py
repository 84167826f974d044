"""Which signal a signal handler was called for, from what the kernel put on the stack.

Layouts: Linux, arch/x86/include/asm/sigframe.h and uapi/asm/sigcontext.h; arch/arm64 and arch/riscv, kernel/signal.c.
"""

from collections.abc import Callable
from typing import NamedTuple

from corebox.gdbside.memory.mapped import MappedCore

# In rt_sigframe of x86-64, from the stack pointer within the trampoline: siginfo, and of the context err, trapno, cr2.
_SIGINFO, _TRAPNO, _CR2 = 304, 200, 216
_PAGE_FAULT, _PROTECTION = 14, 13
_TRAPS = {3: 5, 6: 4, 16: 8, 17: 7, 19: 8}  # exception (Intel SDM 3A, 6.15) to signal
_SYSCALL = b"\x0f\x05"
_GREATEST_SIGNAL, _FPE_INTDIV = 64, 1
_CODES = range(-60, 0x100)
_SIGINFO_SIZE = 32


class Signal(NamedTuple):
    """Number, si_code, address of the fault and sender; None for what is not known."""

    signal: int | None
    code: int | None = None
    address: int | None = None
    sender: int | None = None


class SignalFrame(NamedTuple):
    """A frame that the kernel made for a handler.

    Attributes:
        machine: gdb's name of the processor.
        stack: the stack pointer in the trampoline.
        interrupted: the program counter that the signal interrupted.
        core: what was mapped.
        read: gives memory at an address, or None.
        instruction: gives the instruction at an address, or None.
    """

    machine: str
    stack: int
    interrupted: int
    core: MappedCore
    read: Callable[[int, int], bytes | None]
    instruction: Callable[[int], str | None]


def signal_of(frame: SignalFrame) -> Signal | None:
    """The signal, None if it cannot be told."""
    if "x86-64" in frame.machine:
        return _of_amd64(frame)
    if "i386" in frame.machine:
        pair = frame.read(frame.stack, 8)
        if pair is None:
            return None
        number, pointer = frame.core.unpack("II", pair, 0)
        found = _siginfo(frame, pointer)
        return found if found and found.signal == number else Signal(number)
    if "aarch64" in frame.machine or "riscv" in frame.machine or frame.machine.startswith("arm"):
        return _siginfo(frame, frame.stack)
    return None


def _siginfo(frame: SignalFrame, address: int) -> Signal | None:
    """A siginfo_t, or None if there is none: the kernel fills it for handlers with SA_SIGINFO only."""
    core, data = frame.core, frame.read(address, _SIGINFO_SIZE)
    if data is None:
        return None
    number, error, code = core.unpack("iii", data, 0)
    if not 0 < number <= _GREATEST_SIGNAL or error or code not in _CODES:
        return None
    union = 16 if core.word == 8 else 12
    if code <= 0:
        return Signal(number, code, None, core.unpack("i", data, union)[0])
    return Signal(number, code, core.unpack("Q" if core.word == 8 else "I", data, union)[0])


def _of_amd64(frame: SignalFrame) -> Signal | None:
    """The siginfo, unless what is in its place is older than the signal: then it is not of the exception."""
    info, counter = _siginfo(frame, frame.stack + _SIGINFO), frame.interrupted
    if frame.read(counter - 2, 2) == _SYSCALL:  # within a system call nothing faults
        return info if info and info.code is not None and info.code <= 0 else None
    raised = _exception(frame)
    if raised is None or (info and info.signal == raised.signal and info.address in (raised.address, None)):
        return info
    faulted = info and info.code is not None and info.code > 0
    return info if info and faulted and info.signal == raised.signal and info.address == counter else raised


def _exception(frame: SignalFrame) -> Signal | None:
    """By the processor's exception, which the context keeps (of this fault, or of an earlier one of the thread)."""
    counter = frame.interrupted
    trap_data, cr2_data = (frame.read(frame.stack + at, 8) for at in (_TRAPNO, _CR2))
    if trap_data is None or cr2_data is None:
        return None
    trap, cr2 = (int.from_bytes(each, "little") for each in (trap_data, cr2_data))
    if trap == _PAGE_FAULT:
        return Signal(11, 1 if frame.core.at(cr2) is None else 2, cr2)
    if trap == _PROTECTION:
        return Signal(11, 0x80)
    if trap == 0 and "div" in (frame.instruction(counter) or ""):
        return Signal(8, _FPE_INTDIV, counter)
    return Signal(_TRAPS[trap], None, counter) if trap in _TRAPS else None
