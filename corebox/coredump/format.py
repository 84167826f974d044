"""The parts of the ELF format that are read out of a core, where pyelftools cannot help.

pyelftools wants a whole file with section headers; a core's memory holds neither, and 70,000 program headers one
by one take it seconds. Sources: elf(5), include/uapi/linux/elf.h, include/linux/elfcore.h.
"""

import struct
from typing import List, NamedTuple, Optional

from corebox.coredump.values import Segment

MAGIC = b"\x7fELF"
ET_EXEC, ET_DYN, ET_CORE = 2, 3, 4
PT_LOAD, PT_DYNAMIC, PT_NOTE, PT_PHDR = 1, 2, 4, 6
PF_X, PF_W = 1, 2
PN_XNUM = 0xFFFF
NT_GNU_BUILD_ID = 3

# e_machine as `uname -m` names it; what is not here is shown by number.
MACHINES = {
    2: "sparc",
    3: "i386",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    42: "sh4",
    43: "sparc64",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    258: "loongarch64",
}


class Layout(NamedTuple):
    """Word size and byte order of an ELF file, and the struct formats that follow from them."""

    bits: int
    byte_order: str  # "little" or "big"

    @property
    def prefix(self) -> str:
        """The struct module's character for the byte order."""
        return "<" if self.byte_order == "little" else ">"

    @property
    def word(self) -> int:
        """Size of a pointer in bytes."""
        return self.bits // 8

    @property
    def header_size(self) -> int:
        """Size of the ELF header in bytes."""
        return 64 if self.bits == 64 else 52

    @property
    def program_header_size(self) -> int:
        """Size of one program header in bytes."""
        return 56 if self.bits == 64 else 32

    @property
    def section_header_size(self) -> int:
        """Size of one section header in bytes."""
        return 64 if self.bits == 64 else 40

    def words(self, data: bytes) -> List[int]:
        """``data`` as unsigned pointers; a rest shorter than a word is dropped."""
        count = len(data) // self.word
        code = "Q" if self.bits == 64 else "I"
        return list(struct.unpack_from("{}{}{}".format(self.prefix, count, code), data))


class Header(NamedTuple):
    """The fields of an ELF header that corebox needs."""

    layout: Layout
    kind: int
    machine: int
    program_headers_offset: int
    section_headers_offset: int
    program_header_count: int

    @property
    def machine_name(self) -> str:
        """The machine as ``uname -m`` names it."""
        name = MACHINES.get(self.machine, "machine-{}".format(self.machine))
        if name == "ppc64" and self.layout.byte_order == "little":
            return "ppc64le"
        return "riscv32" if name == "riscv64" and self.layout.bits == 32 else name


def parse_header(data: bytes) -> Optional[Header]:
    """Parse an ELF header, or return None if ``data`` does not begin with one."""
    if len(data) < 16 or data[:4] != MAGIC or data[4] not in (1, 2) or data[5] not in (1, 2):
        return None
    layout = Layout(32 * data[4], "little" if data[5] == 1 else "big")
    if len(data) < layout.header_size:
        return None
    pointer = "Q" if layout.bits == 64 else "I"
    fields = struct.unpack_from("{0}HHI{1}{1}{1}IHHHHHH".format(layout.prefix, pointer), data, 16)
    return Header(
        layout=layout,
        kind=fields[0],
        machine=fields[1],
        program_headers_offset=fields[4],
        section_headers_offset=fields[5],
        program_header_count=fields[9],
    )


def parse_program_headers(data: bytes, layout: Layout) -> List[Segment]:
    """Parse a table of program headers; an incomplete last entry is dropped."""
    whole = data[: len(data) - len(data) % layout.program_header_size]
    if layout.bits == 64:
        rows = struct.iter_unpack(layout.prefix + "IIQQQQQQ", whole)
        return [Segment(kind, flags, off, vaddr, filesz, memsz) for kind, flags, off, vaddr, _, filesz, memsz, _ in rows]
    rows = struct.iter_unpack(layout.prefix + "IIIIIIII", whole)
    return [Segment(kind, flags, off, vaddr, filesz, memsz) for kind, off, vaddr, _, filesz, memsz, flags, _ in rows]


class NoteHeader(NamedTuple):
    """Where one note lies: its owner's name, its type, and offset and size of its descriptor."""

    name: bytes
    kind: int
    offset: int
    size: int


def parse_note_header(data: bytes, offset: int, layout: Layout) -> Optional[NoteHeader]:
    """The note that begins ``data``, which stands at ``offset``; None if it is cut.

    Names and descriptors are padded to 4 bytes in cores and in 64-bit files alike (binutils elf_parse_notes).
    """
    if len(data) < 12:
        return None
    name_size, size, kind = struct.unpack_from(layout.prefix + "III", data)
    if name_size > 256 or len(data) < 12 + name_size:
        return None
    return NoteHeader(data[12 : 12 + name_size].rstrip(b"\0"), kind, offset + 12 + align4(name_size), size)


def align4(size: int) -> int:
    """``size`` rounded up to a multiple of 4."""
    return (size + 3) & ~3
