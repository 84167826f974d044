"""What a signal itself tells: sent by somebody, arithmetic, traps, refused system calls."""

from corebox.gdbside.why.facts import SI_KERNEL, SIGABRT, SIGFPE, SIGILL, SIGSYS, SIGTRAP, Cause, Fault, signal_name
from corebox.gdbside.why.memory import evidence

_FPE_INTDIV, _FPE_INTOVF = 1, 2
_FLOATING = {3: "division by zero", 4: "overflow", 5: "underflow", 6: "inexact result", 7: "invalid operation"}
_TRAPS = ("ud2", "brk", "udf", "int3", "int", "ebreak", "trap", "unimp", "bkpt", "j")
_SIGSTOP = 19


def snapshot(fault: Fault) -> Cause | None:
    """A core that a debugger wrote has no signal, its own SIGTRAP or SIGSTOP, or one that is not the program's."""
    if fault.signal is None:
        return Cause("snapshot", "No crash: a snapshot of a running process", ["the core has no signal"])
    if fault.signal == _SIGSTOP:
        return Cause("snapshot", "No crash: a snapshot of a stopped process", ["SIGSTOP does not end a process"])
    if fault.signal == SIGTRAP and fault.code in (None, 0, SI_KERNEL) and not trapped(fault):
        shown = "SIGTRAP, but the program ran no trap instruction: a debugger stopped it"
        return Cause("snapshot", "No crash: a snapshot taken by a debugger", [shown])
    return None


def trapped(fault: Fault) -> str:
    """The trap instruction that ran, or ""; x86 has counted past an int3."""
    if _is_trap(fault.instruction()):
        return fault.instruction()
    before = fault.read(fault.counter - 1, 1)
    return "int3" if before == b"\xcc" and "86" in fault.machine else ""


def _is_trap(asm: str) -> bool:
    return asm.split()[:1] in [[name] for name in _TRAPS]


def sent(fault: Fault) -> Cause | None:
    """si_code of kill(2), tgkill(2) and sigqueue(3) is not positive; abort(3) sends itself SIGABRT."""
    if fault.code is None or fault.code > 0:
        return None
    name = signal_name(fault.signal)
    shown = [f"si_code {fault.code}: sent by a process, not raised by the processor"]
    if fault.sender in fault.place.members or (
        fault.signal == SIGABRT and fault.runs_like("(__GI_)?(abort|raise|pthread_kill)")
    ):
        return None if fault.signal == SIGABRT else Cause("raised", f"The program sent itself {name}", shown)
    return Cause("sent-signal", f"Process {fault.sender} sent {name}; nothing crashed here", shown)


def arithmetic(fault: Fault) -> Cause | None:
    """x86 tells a division by zero and an overflowing quotient apart by nothing; the divisor does."""
    if fault.signal != SIGFPE:
        return None
    if fault.code in (_FPE_INTDIV, _FPE_INTOVF) or (fault.code is None and "idiv" in fault.instruction()):
        sentence = "Integer division by zero, or the quotient overflowed"
        return Cause("division-by-zero", sentence, evidence(fault, address=False))
    what = _FLOATING.get(fault.code or 0, "unknown operation")
    return Cause("floating-point", f"Floating-point exception: {what}", evidence(fault, address=False))


def trap(fault: Fault) -> Cause | None:
    """Compilers put ud2 (brk, udf) where execution must never come."""
    if fault.signal not in (SIGILL, SIGTRAP):
        return None
    if trapped(fault):
        shown = evidence(fault, address=False)
        return Cause("trap", "Trap instruction: __builtin_trap, unreachable code or a failed check", shown)
    if fault.signal == SIGTRAP:
        return Cause("trap", "SIGTRAP without a trap instruction: a debugger or tracer stopped it", evidence(fault))
    return Cause("illegal-instruction", "Illegal instruction", evidence(fault))


def filtered(fault: Fault) -> Cause | None:
    """seccomp(2) refused a system call, whose number Linux and gdb keep in these registers."""
    if fault.signal != SIGSYS:
        return None
    number = next(filter(None, map(fault.register, ("orig_rax", "orig_eax", "x8"))), None)
    called = "A system call" if number is None else f"System call {number}"
    return Cause("bad-system-call", f"{called} was refused by a seccomp filter", evidence(fault))


SENT = (snapshot, sent)
KINDS = (arithmetic, trap, filtered)
