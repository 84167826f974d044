"""Runs inside gdb: what a signal itself tells: sent by somebody, arithmetic, traps, refused system calls."""

import gdb

from corebox.gdbside.why import faults
from corebox.gdbside.why.faults import Cause
from corebox.gdbside.why.memory import evidence

_FPE_INTDIV, _FPE_INTOVF = 1, 2
_FLOATING = {3: "division by zero", 4: "overflow", 5: "underflow", 6: "inexact result", 7: "invalid operation"}
_TRAPS = ("ud2", "brk", "udf", "int3", "int", "ebreak", "trap", "unimp", "bkpt", "j")
_SIGSTOP = 19


def snapshot(fault):
    """A core that a debugger wrote has no signal, its own SIGTRAP or SIGSTOP, or one that is not the program's."""
    if fault.signal is None:
        return Cause("snapshot", "No crash: a snapshot of a running process", ["the core has no signal"])
    if fault.signal == _SIGSTOP:
        return Cause("snapshot", "No crash: a snapshot of a stopped process", ["SIGSTOP does not end a process"])
    if fault.signal == faults.SIGTRAP and fault.code in (None, 0, faults.SI_KERNEL) and not trapped(fault):
        shown = "SIGTRAP, but the program ran no trap instruction: a debugger stopped it"
        return Cause("snapshot", "No crash: a snapshot taken by a debugger", [shown])
    return None


def trapped(fault):
    """The trap instruction that ran, or ""; x86 has counted past an int3."""
    if _is_trap(fault.instruction()):
        return fault.instruction()
    before = fault.read(fault.counter - 1, 1)
    return "int3" if before == b"\xcc" and "86" in fault.frame.architecture().name() else ""


def _is_trap(asm):
    return asm.split()[:1] in [[name] for name in _TRAPS]


def sent(fault):
    """si_code of kill(2), tgkill(2) and sigqueue(3) is not positive; abort(3) sends itself SIGABRT."""
    if fault.code is None or fault.code > 0:
        return None
    name = faults.signal_name(fault.signal)
    process = gdb.selected_inferior()
    own = {process.pid, *(thread.ptid[1] for thread in process.threads())}
    shown = [f"si_code {fault.code}: sent by a process, not raised by the processor"]
    if fault.sender in own or (
        fault.signal == faults.SIGABRT and fault.runs_like("(__GI_)?(abort|raise|pthread_kill)")
    ):
        return None if fault.signal == faults.SIGABRT else Cause("raised", f"The program sent itself {name}", shown)
    return Cause("sent-signal", f"Process {fault.sender} sent {name}; nothing crashed here", shown)


def arithmetic(fault):
    """x86 tells a division by zero and an overflowing quotient apart by nothing; the divisor does."""
    if fault.signal != faults.SIGFPE:
        return None
    if fault.code in (_FPE_INTDIV, _FPE_INTOVF) or (fault.code is None and "idiv" in fault.instruction()):
        sentence = "Integer division by zero, or the quotient overflowed"
        return Cause("division-by-zero", sentence, evidence(fault, address=False))
    what = _FLOATING.get(fault.code, "unknown operation")
    return Cause("floating-point", f"Floating-point exception: {what}", evidence(fault, address=False))


def trap(fault):
    """Compilers put ud2 (brk, udf) where execution must never come."""
    if fault.signal not in (faults.SIGILL, faults.SIGTRAP):
        return None
    if trapped(fault):
        shown = evidence(fault, address=False)
        return Cause("trap", "Trap instruction: __builtin_trap, unreachable code or a failed check", shown)
    if fault.signal == faults.SIGTRAP:
        return Cause("trap", "SIGTRAP without a trap instruction: a debugger or tracer stopped it", evidence(fault))
    return Cause("illegal-instruction", "Illegal instruction", evidence(fault))


def filtered(fault):
    """seccomp(2) refused a system call, whose number Linux and gdb keep in these registers."""
    if fault.signal != faults.SIGSYS:
        return None
    number = next(filter(None, map(fault.register, ("orig_rax", "orig_eax", "x8"))), None)
    called = "A system call" if number is None else f"System call {number}"
    return Cause("bad-system-call", f"{called} was refused by a seccomp filter", evidence(fault))


SENT = (snapshot, sent)
KINDS = (arithmetic, trap, filtered)
