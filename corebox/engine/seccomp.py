"""A system call filter for bubblewrap, which has none, and for Podman, whose own is too weak; Docker's is good.

Podman's lets everybody make user namespaces (seen with 4.3).
TIOCSTI puts characters into the terminal's input as if the user had typed them, TIOCLINUX can paste on a console
(ioctl_tty(2)); both let a process in a sandbox run commands in the shell outside (CVE-2017-5226). A new session would
help as well, but takes job control and Ctrl-C away from gdb. The caller's keyrings are in no namespace (keyrings(7)).
To read a core gdb needs none of the other calls, and threads but no processes: without those there is no fork bomb,
and without new namespaces no user who has capabilities in one.
"""

import errno
import platform
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple


class _Calls(NamedTuple):
    """A machine's value in linux/audit.h and its numbers of system calls, from asm/unistd.h."""

    audit: int
    clone: int
    ioctl: int
    refused: tuple[int, ...]


_REFUSED = (
    *("ptrace", "add_key", "request_key", "keyctl", "unshare", "perf_event_open", "setns", "bpf", "userfaultfd"),
    *("fork", "vfork"),
)
_MACHINES = {
    # of _REFUSED, as far as the machine has them
    "x86_64": _Calls(0xC000003E, 56, 16, (101, 248, 249, 250, 272, 298, 308, 321, 323, 57, 58)),
    "aarch64": _Calls(0xC00000B7, 220, 29, (117, 217, 218, 219, 97, 241, 268, 280, 282)),
}
_CLONE3 = 435  # on every machine
_CLONE_THREAD = 0x10000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38
# BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_JMP|JSET|K, BPF_RET|K (linux/bpf_common.h)
_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# Offsets in struct seccomp_data (linux/seccomp.h); of the arguments the low words.
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
_X32_BIT = 0x40000000


def sandbox_filter(machine: str = platform.machine()) -> bytes | None:
    """The program in the form that ``bwrap --seccomp`` reads, or None for a machine that we have no numbers for."""
    calls = _MACHINES.get(machine)
    if calls is None:
        return None
    # (label, code, operand, label to go to if true, if false); "" is the next instruction.
    return _assemble(
        ("", _LOAD, _ARCHITECTURE, "", ""),
        ("", _EQUAL, calls.audit, "", "refuse"),  # another ABI (int 0x80) has other numbers
        ("", _LOAD, _NUMBER, "", ""),
        ("", _AT_LEAST, _X32_BIT, "refuse", ""),  # the x32 ABI
        *(("", _EQUAL, number, "refuse", "") for number in calls.refused),
        ("", _EQUAL, _CLONE3, "absent", ""),  # its flags cannot be seen from here; the C library falls back to clone
        ("", _EQUAL, calls.clone, "clone", ""),
        ("", _EQUAL, calls.ioctl, "ioctl", "allow"),
        ("clone", _LOAD, _FIRST, "", ""),
        ("", _HAS_BITS, _CLONE_THREAD, "allow", "refuse"),
        ("ioctl", _LOAD, _SECOND, "", ""),
        ("", _EQUAL, _TIOCSTI, "refuse", ""),
        ("", _EQUAL, _TIOCLINUX, "refuse", "allow"),
        ("allow", _RETURN, _ALLOW, "", ""),
        ("refuse", _RETURN, _EPERM, "", ""),
        ("absent", _RETURN, _ENOSYS, "", ""),
    )


def container_filter() -> dict[str, Any]:
    """The same in the words of container engines, which know all numbers (OCI runtime spec, config-linux.md)."""
    low_word = 0xFFFFFFFF  # all that the kernel looks at
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            _refuse(_REFUSED),
            _refuse(["clone3"], errno.ENOSYS),
            _refuse(["clone"], argument=(0, _CLONE_THREAD, 0)),
            _refuse(["ioctl"], argument=(1, low_word, _TIOCSTI)),
            _refuse(["ioctl"], argument=(1, low_word, _TIOCLINUX)),
        ],
    }


def _refuse(
    names: Sequence[str], code: int = errno.EPERM, argument: tuple[int, int, int] | None = None
) -> dict[str, Any]:
    """Refuse the calls with ``code``; if an argument is given (index, mask, value), where it has that value."""
    rule: dict[str, Any] = {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": code}
    if argument:
        index, mask, value = argument
        rule["args"] = [{"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}]
    return rule


def _assemble(*program: tuple[str, int, int, str, str]) -> bytes:
    """Array of struct sock_filter (linux/filter.h); jumps count from the next instruction."""
    labels = {label: index for index, (label, *_) in enumerate(program)}
    packed = b""
    for index, (_, code, operand, *targets) in enumerate(program):
        true, false = (labels[target] - index - 1 if target else 0 for target in targets)
        packed += struct.pack("=HBBI", code, true, false, operand)
    return packed
