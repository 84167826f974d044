"""The system call filter in two forms: as the program that bubblewrap takes, and in the words of container engines.

Containers get it too, in place of the engine's own: Docker's allows sockets of every family and SysV shared memory,
Podman's user namespaces as well (seen with 4.3). It refuses all that Docker's does.
"""

import errno
import platform
import struct
from collections.abc import Iterator
from typing import Any

from corebox.engine.refused import Condition, Refusal, number, refusals

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
# BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_RET|K (linux/bpf_common.h)
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
# Offsets in struct seccomp_data (linux/seccomp.h); of the arguments the low words.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32_BIT = 0x40000000
#: Calls from this number on are younger than this list, on every machine (file_setattr is 469, of Linux 6.17).
_UNKNOWN = 470

_ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}
#: Calls by which i386 makes others, whose arguments cannot be seen from here.
_OF_I386 = {"names": ["socketcall", "ipc"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM}

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def sandbox_filter(machine: str = platform.machine(), processes: bool = False) -> bytes | None:
    """The program in the form that ``bwrap --seccomp`` reads, or None for a machine that we have no numbers for.

    With ``processes`` the command may start others; see ``refusals``.
    """
    if machine not in _AUDIT:
        return None
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _AUDIT[machine]),  # another ABI (int 0x80) has other numbers
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_AT_LEAST, 0, 1, _UNKNOWN),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for refusal in refusals(processes):
        for name in refusal.names:
            called = number(name, machine)
            if called is not None:
                program += _refuse(called, refusal)
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _refuse(called: int, refusal: Refusal) -> Iterator[_Instruction]:
    """Instructions for one call; behind them the number is loaded again. Jumps count from the next instruction."""
    answer = (_RETURN, 0, 0, _ERRNO | refusal.code)
    if refusal.condition is None:
        yield from ((_EQUAL, 0, 1, called), answer)
        return
    argument, mask, value, unless = refusal.condition
    yield (_EQUAL, 0, 5, called)
    yield (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)
    yield (_AND, 0, 0, mask)
    yield (_EQUAL, *((1, 0) if unless else (0, 1)), value)
    yield answer
    yield (_LOAD, 0, 0, _NUMBER)


def container_filter(processes: bool = False, machine: str = platform.machine()) -> dict[str, Any]:
    """The same in the words of container engines, which know all numbers (OCI runtime spec, config-linux.md)."""
    rules = [_rule(refusal) for refusal in refusals(processes)]
    # A call of another ABI would kill who makes it, were that not named: Podman 4.3 may not notice that it has ended.
    known = {"architectures": _ARCHITECTURES[machine]} if machine in _ARCHITECTURES else {}
    return {"defaultAction": "SCMP_ACT_ALLOW", **known, "syscalls": [*rules, _OF_I386]}


def _rule(refusal: Refusal) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": list(refusal.names), "action": "SCMP_ACT_ERRNO", "errnoRet": refusal.code}
    return {**rule, "args": [_argument(refusal.condition)]} if refusal.condition else rule


def _argument(condition: Condition) -> dict[str, Any]:
    if condition.unless:  # which compares all 64 bits, and so refuses more, never less
        return {"index": condition.argument, "value": condition.value, "op": "SCMP_CMP_NE"}
    mask, value = condition.mask, condition.value
    return {"index": condition.argument, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
