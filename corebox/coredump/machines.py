"""What differs from machine to machine: names, and where a core's notes keep the registers.

Register layouts: ``struct user_regs_struct``/``user_pt_regs`` in the kernel's ``arch/*/include/uapi/asm/ptrace.h``, and
``ELF_CORE_COPY_REGS`` of ``arch/*/include/asm/elf.h`` where the kernel puts them in another order.
"""

from typing import Dict, NamedTuple, Optional, Tuple

I386, M68K, MIPS, MIPS_LITTLE, X86_64 = 3, 4, 8, 10, 62

# e_machine -> names as by uname -m for (little, big) endian; ELF gABI, chapter 4, and elf.h.
_NAMES: Dict[int, Tuple[str, str]] = {
    2: ("sparc", "sparc"),
    I386: ("i386", "i386"),
    M68K: ("m68k", "m68k"),
    MIPS: ("mipsel", "mips"),
    MIPS_LITTLE: ("mipsel", "mips"),
    15: ("parisc", "parisc"),
    18: ("sparc", "sparc"),
    20: ("ppcle", "ppc"),
    21: ("ppc64le", "ppc64"),
    22: ("s390x", "s390x"),
    40: ("arm", "armeb"),
    42: ("sh", "sheb"),
    43: ("sparc64", "sparc64"),
    50: ("ia64", "ia64"),
    X86_64: ("x86_64", "x86_64"),
    92: ("openrisc", "openrisc"),
    94: ("xtensa", "xtensa"),
    183: ("aarch64", "aarch64_be"),
    243: ("riscv64", "riscv64"),
    258: ("loongarch64", "loongarch64"),
    0x9026: ("alpha", "alpha"),
}
_NAMES_OF_32_BITS = {"s390x": "s390", "riscv64": "riscv32", "loongarch64": "loongarch32"}
_NAMES_OF_64_BITS = {"mips": "mips64", "mipsel": "mips64el", "parisc": "parisc64"}

# Kernels of other names that run a machine's programs, for (32-bit) programs of 64-bit kernels.
_HOSTS = {
    "i386": ("i486", "i586", "i686", "x86_64"),
    "arm": ("armv6l", "armv7l", "armv8l", "aarch64"),
    "mips": ("mips64",),
    "mipsel": ("mips", "mips64"),
    "mips64el": ("mips64",),
    "ppc": ("ppc64",),
    "s390": ("s390x",),
    "sparc": ("sparc64",),
}


class Registers(NamedTuple):
    """Indices into ``pr_reg``, counted in words, of the program counter and the stack pointer."""

    program_counter: int
    stack_pointer: int


class StatusLayout(NamedTuple):
    """Where ``struct elf_prstatus`` has the thread's id and its registers, whose words have ``word_size`` bytes."""

    tid: int
    registers: int
    word_size: int


_REGISTERS: Dict[Tuple[int, int], Registers] = {
    (2, 32): Registers(1, 18),
    (I386, 32): Registers(12, 15),
    (M68K, 32): Registers(18, 15),
    (MIPS, 32): Registers(40, 35),
    (MIPS, 64): Registers(34, 29),
    (15, 32): Registers(40, 30),
    (15, 64): Registers(40, 30),
    (20, 32): Registers(32, 1),
    (21, 64): Registers(32, 1),
    (22, 32): Registers(1, 17),
    (22, 64): Registers(1, 17),
    (40, 32): Registers(15, 13),
    (42, 32): Registers(16, 15),
    (43, 64): Registers(33, 14),
    (X86_64, 64): Registers(16, 19),
    (92, 32): Registers(32, 1),
    (183, 64): Registers(32, 31),
    (243, 32): Registers(0, 2),
    (243, 64): Registers(0, 2),
    (258, 64): Registers(33, 3),
    (0x9026, 64): Registers(31, 30),
}
# n32, whose registers have 64 bits in a file of 32, is told from o32 by the size of its note.
_STATUS_OF_N32 = 440


def machine_name(machine: int, bits: int, byte_order: str) -> str:
    """The name of an ``e_machine``, like ``uname -m`` says it; "em-N" for one that we do not know."""
    if machine not in _NAMES:
        return "em-{}".format(machine)
    name = _NAMES[machine][byte_order == "big"]
    return (_NAMES_OF_32_BITS if bits == 32 else _NAMES_OF_64_BITS).get(name, name)


def runs_on(machine: str, host: str) -> bool:
    """Whether a kernel of ``host`` runs programs of ``machine`` without an emulator; both as by ``uname -m``."""
    return machine == host or host in _HOSTS.get(machine, ())


def status_layout(machine: int, bits: int, size: int) -> StatusLayout:
    """Where things are in an ``elf_prstatus`` of ``size`` bytes; ``include/uapi/linux/elfcore.h``."""
    if bits == 64:
        return StatusLayout(32, 112, 8)
    if machine == M68K:  # where a 32-bit number is aligned to 2 bytes
        return StatusLayout(22, 70, 4)
    # x32, too, keeps 64-bit registers in a 32-bit file.
    wide = machine == X86_64 or (machine in (MIPS, MIPS_LITTLE) and size >= _STATUS_OF_N32)
    return StatusLayout(24, 72, 8 if wide else 4)


def registers(machine: int, word_size: int) -> Optional[Registers]:
    """Where program counter and stack pointer are, or None for a machine that we do not know."""
    return _REGISTERS.get((MIPS if machine == MIPS_LITTLE else machine, word_size * 8))


def has_swapped_siginfo(machine: int) -> bool:
    """Whether ``siginfo_t`` has the code before the error number (``__ARCH_HAS_SWAPPED_SIGINFO``)."""
    return machine in (MIPS, MIPS_LITTLE)
