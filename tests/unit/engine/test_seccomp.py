"""The filter that shuts the sandbox in, run by an interpreter of classic BPF."""

import struct

import pytest

from corebox.engine.seccomp import container_filter, sandbox_filter

MACHINES = ("x86_64", "aarch64")
X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
ALLOW, EPERM, ENOSYS, EAFNOSUPPORT = 0x7FFF0000, 0x00050001, 0x00050026, 0x00050061
SIGCHLD, CLONE_THREAD, CLONE_NEWUSER = 17, 0x10000, 0x10000000
TIOCSTI, TIOCLINUX, TCGETS = 0x5412, 0x541C, 0x5401


def verdict(program: bytes, architecture: int, number: int, second: int, first: int = 0, fourth: int = 0) -> int:
    """What the kernel would return (Documentation/networking/filter.rst)."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, first, second, 0, fourth, 0, 0)
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
        elif code == 0x54:
            value &= operand
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


@pytest.mark.parametrize(("machine", "architecture", "call"), [("x86_64", X86_64, 41), ("aarch64", AARCH64, 198)])
def test_no_socket_but_a_local_one(machine: str, architecture: int, call: int) -> None:
    program = sandbox_filter(machine)
    assert program is not None
    assert {verdict(program, architecture, call, 0, first=1), verdict(program, architecture, 0, 0)} == {ALLOW}
    for family in (0, 2, 10, 16, 17, 38, 40, 44):  # AF_NETLINK 16, AF_PACKET 17, AF_ALG 38, AF_VSOCK 40, AF_XDP 44
        assert verdict(program, architecture, call, 0, first=family) == EAFNOSUPPORT


@pytest.mark.parametrize(("machine", "architecture", "mmap"), [("x86_64", X86_64, 9), ("aarch64", AARCH64, 222)])
def test_no_memory_that_the_limit_of_a_process_does_not_count(machine: str, architecture: int, mmap: int) -> None:
    one, several = sandbox_filter(machine), sandbox_filter(machine, processes=True)
    assert one is not None
    assert several is not None
    shared, validate, private, anonymous, grows = 0x1, 0x3, 0x2, 0x20, 0x100
    for flags in (shared | anonymous, validate | anonymous, private | anonymous | grows):
        assert verdict(one, architecture, mmap, 0, fourth=flags) == EPERM
        assert verdict(several, architecture, mmap, 0, fourth=flags) == ALLOW
    for flags in (shared, private, private | anonymous):
        assert verdict(one, architecture, mmap, 0, fourth=flags) == ALLOW


def test_a_program_may_start_others_but_in_no_new_namespace() -> None:
    program = sandbox_filter("x86_64", processes=True)
    assert program is not None
    assert {verdict(program, X86_64, call, 0, first=SIGCHLD) for call in (56, 57, 58)} == {ALLOW}
    for new in (0x20000, 0x2000000, 0x4000000, 0x8000000, CLONE_NEWUSER, 0x20000000, 0x40000000):
        assert verdict(program, X86_64, 56, 0, first=SIGCHLD | new) == EPERM
    assert verdict(program, X86_64, 101, 0) == EPERM


@pytest.mark.parametrize("processes", [False, True])
@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_younger_than_the_list_is_absent(machine: str, processes: bool) -> None:
    program = sandbox_filter(machine, processes)
    assert program is not None
    architecture = X86_64 if machine == "x86_64" else AARCH64
    assert verdict(program, architecture, 469, 0) == ALLOW
    assert {verdict(program, architecture, number, 0) for number in (470, 600, 425, 426, 427)} == {ENOSYS}


@pytest.mark.parametrize("machine", MACHINES)
def test_containers_get_the_same(machine: str) -> None:
    """Each call that the program refuses whatever its arguments, and no other, has such a rule."""
    rules = container_filter(machine=machine)["syscalls"]
    named = {name for rule in rules if "args" not in rule for name in rule["names"]}
    conditional = {name for rule in rules if "args" in rule for name in rule["names"]}
    assert named >= {
        "ptrace",
        "io_uring_setup",
        "shmget",
        "memfd_create",
        "bpf",
        "keyctl",
        "fork",
        "clone3",
        "socketcall",
    }
    assert conditional == {"clone", "ioctl", "mmap", "socket", "socketpair"}
    assert not named & conditional


def test_other_machines_get_a_session_of_their_own_instead() -> None:
    assert sandbox_filter("s390x") is None
