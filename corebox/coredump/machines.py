"""What differs from machine to machine: names, and where a core's notes keep the registers.

Register layouts: ``struct user_regs_struct``/``user_pt_regs`` in the kernel's ``arch/*/include/uapi/asm/ptrace.h``.
"""

from typing import Dict, NamedTuple, Optional, Tuple

# e_machine -> names as by uname -m for (little, big) endian; ELF gABI, chapter 4, and elf.h.
_NAMES: Dict[int, Tuple[str, str]] = {
    2: ("sparc", "sparc"),
    3: ("i386", "i386"),
    8: ("mipsel", "mips"),
    20: ("ppcle", "ppc"),
    21: ("ppc64le", "ppc64"),
    22: ("s390x", "s390x"),
    40: ("arm", "armeb"),
    43: ("sparc64", "sparc64"),
    62: ("x86_64", "x86_64"),
    183: ("aarch64", "aarch64_be"),
    243: ("riscv64", "riscv64"),
    258: ("loongarch64", "loongarch64"),
}


class Registers(NamedTuple):
    """Indices into ``pr_reg``, counted in words, of the program counter and the stack pointer."""

    program_counter: int
    stack_pointer: int


_REGISTERS: Dict[int, Registers] = {
    3: Registers(12, 15),
    20: Registers(32, 1),
    21: Registers(32, 1),
    22: Registers(1, 17),
    40: Registers(15, 13),
    62: Registers(16, 19),
    183: Registers(32, 31),
    243: Registers(0, 2),
}


def machine_name(machine: int, bits: int, byte_order: str) -> str:
    """The name of an ``e_machine``, like ``uname -m`` says it; "em-N" for one that we do not know."""
    if machine not in _NAMES:
        return "em-{}".format(machine)
    name = _NAMES[machine][byte_order == "big"]
    if bits == 32:
        return {"s390x": "s390", "riscv64": "riscv32"}.get(name, name)
    return {"mips": "mips64", "mipsel": "mips64el"}.get(name, name)


def registers(machine: int) -> Optional[Registers]:
    """Where program counter and stack pointer are, or None for a machine that we do not know."""
    return _REGISTERS.get(machine)
