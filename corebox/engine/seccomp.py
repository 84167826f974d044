"""A system call filter that keeps a command from typing into the terminal it was given.

TIOCSTI puts characters into the terminal's input as if the user had typed them, TIOCLINUX can paste on a console
(ioctl_tty(2)); both let a process in a sandbox run commands in the shell outside (CVE-2017-5226). A new session would
help as well, but takes job control and Ctrl-C away from gdb.
"""

import platform
import struct

# linux/audit.h and asm/unistd.h: architecture and number of ioctl.
_ARCHITECTURES = {"x86_64": (0xC000003E, 16), "aarch64": (0xC00000B7, 29)}
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ALLOW, _EPERM = 0x7FFF0000, 0x00050000 | 1
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K (linux/bpf_common.h)
# Offsets in struct seccomp_data (linux/seccomp.h): number, architecture, low word of the second argument.
_NUMBER, _ARCHITECTURE, _REQUEST = 0, 4, 24
_X32_BIT = 0x40000000


def terminal_filter(machine: str = platform.machine()) -> bytes | None:
    """The program in the form that ``bwrap --seccomp`` reads, or None for a machine that we have no numbers for."""
    if machine not in _ARCHITECTURES:
        return None
    architecture, ioctl = _ARCHITECTURES[machine]
    # (code, jump if true, jump if false, operand); jumps count from the next instruction.
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, 6, architecture),  # another ABI (int 0x80) could reach ioctl under another number: refuse it
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 5, 0, _X32_BIT | 514),  # ioctl in the x32 ABI
        (_EQUAL, 0, 3, ioctl),
        (_LOAD, 0, 0, _REQUEST),
        (_EQUAL, 2, 0, _TIOCSTI),
        (_EQUAL, 1, 0, _TIOCLINUX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]
    # The refusal of another architecture jumps to the last instruction as well.
    program[1] = (_EQUAL, 0, len(program) - 3, architecture)
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)
