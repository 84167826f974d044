"""A system call filter for bubblewrap, which has none of its own; container engines bring theirs.

TIOCSTI puts characters into the terminal's input as if the user had typed them, TIOCLINUX can paste on a console
(ioctl_tty(2)); both let a process in a sandbox run commands in the shell outside (CVE-2017-5226). A new session would
help as well, but takes job control and Ctrl-C away from gdb. The caller's keyrings are in no namespace (keyrings(7)),
and gdb needs none of the other calls to read a core.
"""

import platform
import struct

# linux/audit.h and asm/unistd.h: architecture, number of ioctl, and of what is refused altogether: ptrace, add_key,
# request_key, keyctl, perf_event_open, bpf, userfaultfd.
_ARCHITECTURES = {
    "x86_64": (0xC000003E, 16, (101, 248, 249, 250, 298, 321, 323)),
    "aarch64": (0xC00000B7, 29, (117, 217, 218, 219, 241, 280, 282)),
}
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ALLOW, _EPERM = 0x7FFF0000, 0x00050000 | 1
# BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_RET|K (linux/bpf_common.h)
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
# Offsets in struct seccomp_data (linux/seccomp.h): number, architecture, low word of the second argument.
_NUMBER, _ARCHITECTURE, _REQUEST = 0, 4, 24
_X32_BIT = 0x40000000


def sandbox_filter(machine: str = platform.machine()) -> bytes | None:
    """The program in the form that ``bwrap --seccomp`` reads, or None for a machine that we have no numbers for."""
    if machine not in _ARCHITECTURES:
        return None
    architecture, ioctl, refused = _ARCHITECTURES[machine]
    refuse = len(refused) + 9  # the index of the last instruction

    # (code, jump if true, jump if false, operand); jumps count from the next instruction.
    def unless(code: int, operand: int, position: int) -> tuple[int, int, int, int]:
        return (code, refuse - position - 1, 0, operand)

    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, refuse - 2, architecture),  # another ABI (int 0x80) has other numbers
        (_LOAD, 0, 0, _NUMBER),
        unless(_AT_LEAST, _X32_BIT, 3),  # the x32 ABI
        *(unless(_EQUAL, number, 4 + index) for index, number in enumerate(refused)),
    ]
    at = len(program)
    program += [
        (_EQUAL, 0, 3, ioctl),
        (_LOAD, 0, 0, _REQUEST),
        unless(_EQUAL, _TIOCSTI, at + 2),
        unless(_EQUAL, _TIOCLINUX, at + 3),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)
