"""Names of signals: their numbers differ between systems, and between Linux' architectures.

Linux: ``arch/*/include/uapi/asm/signal.h``; elsewhere ``sys/signal.h``.
"""

from typing import Dict, List, Sequence


def _names(text: str) -> List[str]:
    return text.split()


_LINUX = _names(
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG "
    "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
# Linux took the numbers of the system that an architecture came with: IRIX, OSF/1, SunOS, HP-UX.
_MIPS = _names(
    "HUP INT QUIT ILL TRAP ABRT EMT FPE KILL BUS SEGV SYS PIPE ALRM TERM USR1 USR2 CHLD PWR WINCH URG IO STOP TSTP "
    "CONT TTIN TTOU VTALRM PROF XCPU XFSZ"
)
_BSD = _names(
    "HUP INT QUIT ILL TRAP ABRT EMT FPE KILL BUS SEGV SYS PIPE ALRM TERM URG STOP TSTP CONT CHLD TTIN TTOU IO XCPU "
    "XFSZ VTALRM PROF WINCH INFO USR1 USR2"
)
_ALPHA_AND_SPARC = [*_BSD[:28], "PWR", *_BSD[29:]]
_PARISC = _names(
    "HUP INT QUIT ILL TRAP ABRT STKFLT FPE KILL BUS SEGV XCPU PIPE ALRM TERM USR1 USR2 CHLD PWR VTALRM PROF IO WINCH "
    "STOP TSTP CONT TTIN TTOU URG XFSZ SYS"
)
_SOLARIS = [*_MIPS, "WAITING", "LWP", "FREEZE", "THAW", "CANCEL", "LOST"]

# e_machine of MIPS, its little-endian twin, SPARC (32 bits, 32 bits of a 64-bit processor, 64 bits), PA-RISC, Alpha.
_LINUX_ON: Dict[int, Sequence[str]] = {
    8: _MIPS,
    10: _MIPS,
    2: _ALPHA_AND_SPARC,
    18: _ALPHA_AND_SPARC,
    43: _ALPHA_AND_SPARC,
    15: _PARISC,
    0x9026: _ALPHA_AND_SPARC,
}
_SYSTEMS: Dict[str, Sequence[str]] = {
    "FreeBSD": [*_BSD, "THR"],
    "NetBSD": [*_BSD, "PWR"],
    "OpenBSD": [*_BSD, "THR"],
    "Solaris": _SOLARIS,
}
# glibc keeps the first two real-time signals to itself.
_FIRST_REAL_TIME, _LAST_REAL_TIME = 34, 64

#: The signals of faults, which have an address (sigaction(2)).
FAULTS = ("SIGILL", "SIGFPE", "SIGSEGV", "SIGBUS", "SIGTRAP", "SIGEMT")


def signal_name(system: str, machine: int, number: int) -> str:
    """The name of signal ``number`` on ``system`` and processor (``e_machine``): "SIGSEGV", or "SIG77"."""
    names = _SYSTEMS.get(system) or _LINUX_ON.get(machine, _LINUX)
    if 0 < number <= len(names):
        return "SIG" + names[number - 1]
    if system == "Linux" and number in (_FIRST_REAL_TIME, _LAST_REAL_TIME):
        return "SIGRTMIN" if number == _FIRST_REAL_TIME else "SIGRTMAX"
    return "SIG{}".format(number)
