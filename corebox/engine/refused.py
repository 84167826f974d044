"""Which system calls the sandbox refuses, and why: the same for every engine.

To read a core gdb needs threads but no processes: without those there is no fork bomb, and RLIMIT_DATA of the one
process bounds the memory. It needs no socket but a local one, and none of the calls that Docker's own profile refuses.
TIOCSTI puts characters into the terminal's input as if the user had typed them, TIOCLINUX can paste on a console
(ioctl_tty(2)); both let a process in a sandbox run commands in the shell outside (CVE-2017-5226). A new session would
help as well, but takes job control and Ctrl-C away from gdb. The caller's keyrings are in no namespace (keyrings(7)).
"""

import errno
from typing import NamedTuple

#: Names with their numbers on x86_64 and aarch64 (asm/unistd.h); None: the machine has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # What other processes have and do.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "process_madvise": (440, 440),
    # The caller's keyrings.
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Namespaces and mounts.
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    # Large and often broken parts of the kernel.
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "nfsservctl": (180, 42),
    # The machine itself.
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "iopl": (172, None),
    "ioperm": (173, None),
    "vhangup": (153, 58),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    # Memory and messages that belong to no process: no limit of a process counts them (sysvipc(7), mq_overview(7)).
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    # Only where a process may not start others or share memory.
    "fork": (57, None),
    "vfork": (58, None),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # Refused or not by their arguments, or always in a way of their own.
    "clone": (56, 220),
    "clone3": (435, 435),
    "ioctl": (16, 29),
    "mmap": (9, 222),
    "socket": (41, 198),
    "socketpair": (53, 199),
}
_BY_ARGUMENT = ("clone", "clone3", "ioctl", "mmap", "socket", "socketpair")
_SHARING = ("fork", "vfork", "memfd_create", "memfd_secret")
#: Who asks for these takes another way if the kernel has none of them.
_ABSENT = ("clone3", "memfd_create", "memfd_secret", "io_uring_setup", "io_uring_enter", "io_uring_register")
_AF_UNIX = 1
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_CLONE_THREAD = 0x10000
#: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (linux/sched.h).
_NEW_NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_GROWSDOWN = 0x01, 0x20, 0x100
_WORD = 0xFFFFFFFF


class Condition(NamedTuple):
    """True if the low word of an argument, masked, is ``value``, or ``unless`` it is; the kernel looks at no more."""

    argument: int
    mask: int
    value: int
    unless: bool = False


class Refusal(NamedTuple):
    """Calls that fail with ``code``, if there is a condition where it is true."""

    names: tuple[str, ...]
    code: int
    condition: Condition | None = None


def number(name: str, machine: str) -> int | None:
    """The call's number on ``machine``, None if it has none."""
    return _NUMBERS[name][("x86_64", "aarch64").index(machine)]


def refusals(processes: bool = False) -> tuple[Refusal, ...]:
    """What is refused; with ``processes`` a program may start others and share memory with them."""
    plain = [name for name in _NUMBERS if name not in (*_BY_ARGUMENT, *_ABSENT, *_SHARING)]
    absent = [name for name in _ABSENT if not (processes and name in _SHARING)]
    return (
        Refusal(tuple(plain) if processes else (*plain, "fork", "vfork"), errno.EPERM),
        # clone3's flags cannot be seen from here; the C library falls back to clone.
        Refusal(tuple(absent), errno.ENOSYS),
        Refusal(("socket", "socketpair"), errno.EAFNOSUPPORT, Condition(0, _WORD, _AF_UNIX, unless=True)),
        Refusal(("ioctl",), errno.EPERM, Condition(1, _WORD, _TIOCSTI)),
        Refusal(("ioctl",), errno.EPERM, Condition(1, _WORD, _TIOCLINUX)),
        *(_of_programs() if processes else _of_one_process()),
    )


def _of_programs() -> tuple[Refusal, ...]:
    return tuple(Refusal(("clone",), errno.EPERM, Condition(0, bit, bit)) for bit in _NEW_NAMESPACES)


def _of_one_process() -> tuple[Refusal, ...]:
    """Threads but no processes, and no memory that RLIMIT_DATA does not count (is_data_mapping in mm/vma.c)."""
    shared = _MAP_SHARED | _MAP_ANONYMOUS  # MAP_SHARED_VALIDATE has the bit of MAP_SHARED too
    return (
        Refusal(("clone",), errno.EPERM, Condition(0, _CLONE_THREAD, 0)),
        Refusal(("mmap",), errno.EPERM, Condition(3, shared, shared)),
        Refusal(("mmap",), errno.EPERM, Condition(3, _MAP_GROWSDOWN, _MAP_GROWSDOWN)),
    )
