"""The filter that shuts the sandbox in, run by an interpreter of classic BPF."""

import struct

import pytest

from corebox.engine.seccomp import sandbox_filter

X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
SIGCHLD, CLONE_THREAD, CLONE_NEWUSER = 17, 0x10000, 0x10000000
TIOCSTI, TIOCLINUX, TCGETS = 0x5412, 0x541C, 0x5401


def verdict(program: bytes, architecture: int, number: int, second: int, first: int = 0) -> int:
    """What the kernel would return (Documentation/networking/filter.rst)."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, first, second, 0, 0, 0, 0)
    instructions = list(struct.iter_unpack("HBBI", program))
    at = value = 0
    while True:
        code, true, false, operand = instructions[at]
        at += 1
        if code == 0x20:
            value = struct.unpack_from("=I", data, operand)[0]
        elif code == 0x15:
            at += true if value == operand else false
        elif code == 0x35:
            at += true if value >= operand else false
        elif code == 0x45:
            at += true if value & operand else false
        else:
            assert code == 0x06
            return int(operand)


@pytest.mark.parametrize(("machine", "architecture", "ioctl"), [("x86_64", X86_64, 16), ("aarch64", AARCH64, 29)])
def test_typing_into_the_terminal_is_refused(machine: str, architecture: int, ioctl: int) -> None:
    program = sandbox_filter(machine)
    assert program is not None
    assert verdict(program, architecture, ioctl, TIOCSTI) == EPERM
    assert verdict(program, architecture, ioctl, TIOCLINUX) == EPERM
    assert verdict(program, architecture, ioctl, TCGETS) == ALLOW
    assert verdict(program, architecture, 1, TIOCSTI) == ALLOW


def test_a_request_with_high_bits_is_the_same_request_to_the_kernel() -> None:
    program = sandbox_filter("x86_64")
    assert program is not None
    assert verdict(program, X86_64, 16, TIOCSTI | 1 << 32) == EPERM


def test_no_way_round_through_another_abi() -> None:
    program = sandbox_filter("x86_64")
    assert program is not None
    assert verdict(program, I386, 54, TIOCSTI) == EPERM
    assert verdict(program, X86_64, 0x40000000 | 514, TIOCSTI) == EPERM


@pytest.mark.parametrize(("machine", "architecture", "keyctl"), [("x86_64", X86_64, 250), ("aarch64", AARCH64, 219)])
def test_the_callers_keyrings_are_out_of_reach(machine: str, architecture: int, keyctl: int) -> None:
    program = sandbox_filter(machine)
    assert program is not None
    assert [verdict(program, architecture, keyctl + each, 0) for each in (-2, -1, 0)] == [EPERM] * 3


@pytest.mark.parametrize(("machine", "architecture", "clone"), [("x86_64", X86_64, 56), ("aarch64", AARCH64, 220)])
def test_threads_but_no_processes(machine: str, architecture: int, clone: int) -> None:
    program = sandbox_filter(machine)
    assert program is not None
    assert verdict(program, architecture, clone, 0, first=0x3D0F00 | CLONE_THREAD) == ALLOW
    assert verdict(program, architecture, clone, 0, first=SIGCHLD) == EPERM
    assert verdict(program, architecture, clone, 0, first=SIGCHLD | CLONE_NEWUSER) == EPERM
    assert verdict(program, architecture, 435, 0) == ENOSYS


@pytest.mark.parametrize(
    ("machine", "architecture", "numbers"), [("x86_64", X86_64, (57, 58, 272, 308)), ("aarch64", AARCH64, (97, 268))]
)
def test_no_way_round_to_processes_and_namespaces(machine: str, architecture: int, numbers: tuple[int, ...]) -> None:
    program = sandbox_filter(machine)
    assert program is not None
    assert {verdict(program, architecture, number, 0) for number in numbers} == {EPERM}


def test_other_machines_get_a_session_of_their_own_instead() -> None:
    assert sandbox_filter("s390x") is None
