"""Writes small ELF files and cores of any word size, byte order and machine, to the letter of the ELF gABI."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ET_EXEC, ET_DYN, ET_CORE = 2, 3, 4
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_PHDR = 1, 2, 3, 4, 6
NT_PRSTATUS, NT_PRPSINFO, NT_AUXV, NT_FILE, NT_SIGINFO = 1, 3, 6, 0x46494C45, 0x53494749
PN_XNUM = 0xFFFF
PAGE = 4096


@dataclass(frozen=True)
class Format:
    """Word size, byte order ("<" or ">") and e_machine."""

    bits: int = 64
    order: str = "<"
    machine: int = 62

    @property
    def word(self) -> int:
        """Bytes of an address."""
        return self.bits // 8

    @property
    def header_size(self) -> int:
        """Bytes of the ELF header."""
        return 64 if self.bits == 64 else 52

    @property
    def entry_size(self) -> int:
        """Bytes of a program header."""
        return 56 if self.bits == 64 else 32

    @property
    def section_size(self) -> int:
        """Bytes of a section header."""
        return 64 if self.bits == 64 else 40

    def words(self, *values: int) -> bytes:
        """Addresses, one after the other."""
        return struct.pack(f"{self.order}{len(values)}{'Q' if self.bits == 64 else 'I'}", *values)

    def ints(self, *values: int) -> bytes:
        """32-bit numbers, one after the other."""
        return struct.pack(f"{self.order}{len(values)}i", *values)

    def header(self, kind: int, count: int, table: int | None = None, sections: int = 0) -> bytes:
        """The ELF header; ``sections`` is the offset of section header 0, if there is one."""
        identity = b"\x7fELF" + bytes([self.bits // 32, 1 if self.order == "<" else 2, 1]) + bytes(9)
        table = self.header_size if table is None else table
        return (
            identity
            + struct.pack(self.order + "HHI", kind, self.machine, 1)
            + self.words(0, table if count else 0, sections)
            + struct.pack(
                self.order + "I6H", 0, self.header_size, self.entry_size, count, self.section_size, int(sections > 0), 0
            )
        )

    def entry(self, kind: int, flags: int, offset: int, address: int, file_size: int, memory_size: int) -> bytes:
        """One program header. gdb takes no notes aligned to more than 8 bytes (elf_parse_notes in bfd/elf.c)."""
        align = 4 if kind == PT_NOTE else PAGE
        if self.bits == 64:
            return struct.pack(self.order + "IIQQQQQQ", kind, flags, offset, address, 0, file_size, memory_size, align)
        return struct.pack(self.order + "8I", kind, offset, address, 0, file_size, memory_size, flags, align)

    def note(self, kind: int, data: bytes, owner: bytes = b"CORE\0") -> bytes:
        """One note, padded to 4 bytes."""
        fixed = struct.pack(self.order + "III", len(owner), len(data), kind)
        return fixed + owner.ljust(-(-len(owner) // 4) * 4, b"\0") + data.ljust(-(-len(data) // 4) * 4, b"\0")

    def prstatus(self, tid: int, signal: int, registers: list[int]) -> bytes:
        """``struct elf_prstatus`` with ``registers`` in the kernel's order."""
        before = 112 if self.bits == 64 else 72
        data = bytearray(before)
        struct.pack_into(self.order + "h", data, 12, signal)
        struct.pack_into(self.order + "i", data, 32 if self.bits == 64 else 24, tid)
        return bytes(data) + self.words(*registers) + bytes(8)

    def mappings(self, rows: list[tuple[int, int, int, bytes]], page_size: int = PAGE) -> bytes:
        """NT_FILE: start, end, offset in the file in bytes, path."""
        numbers = [number for start, end, offset, _ in rows for number in (start, end, offset // page_size)]
        return self.words(len(rows), page_size, *numbers) + b"".join(path + b"\0" for _, _, _, path in rows)


@dataclass
class CoreWriter:
    """A core: notes, then memory. ``notes_last`` writes them as gdb's gcore does, behind all memory."""

    format: Format = field(default_factory=Format)
    notes: list[bytes] = field(default_factory=list)
    segments: list[tuple[int, bytes, int, int]] = field(default_factory=list)
    notes_last: bool = False

    def memory(self, address: int, data: bytes, size: int | None = None, flags: int = 6) -> None:
        """Add a PT_LOAD of ``size`` bytes of memory, of which ``data`` is in the file."""
        self.segments.append((address, data, len(data) if size is None else size, flags))

    def note(self, kind: int, data: bytes) -> None:
        """Add a note named CORE."""
        self.notes.append(self.format.note(kind, data))

    def to_bytes(self) -> bytes:
        """The core file."""
        form, notes = self.format, b"".join(self.notes)
        count = len(self.segments) + 1
        start = form.header_size + count * form.entry_size
        memory_at = _page(start if self.notes_last else start + len(notes))
        memory_size = sum(_page(len(data)) for _, data, _, _ in self.segments)
        notes_at = memory_at + memory_size if self.notes_last else start
        end = memory_at + memory_size + (len(notes) if self.notes_last else 0)
        table = [form.entry(PT_NOTE, 0, notes_at, 0, len(notes), 0)]
        body, position = bytearray(), memory_at
        for address, data, size, flags in self.segments:
            table.append(form.entry(PT_LOAD, flags, position, address, len(data), size))
            body += data.ljust(_page(len(data)), b"\0")
            position += _page(len(data))
        extended = count >= PN_XNUM
        head = form.header(ET_CORE, min(count, PN_XNUM), sections=end if extended else 0) + b"".join(table)
        front = head if self.notes_last else head + notes
        core = front.ljust(memory_at, b"\0") + bytes(body) + (notes if self.notes_last else b"")
        return core + (self._section_zero(count) if extended else b"")

    def write(self, path: Path) -> Path:
        """Write the core file."""
        path.write_bytes(self.to_bytes())
        return path

    def _section_zero(self, count: int) -> bytes:
        form = self.format
        if form.bits == 64:
            return struct.pack(form.order + "IIQQQQIIQQ", 0, 0, 0, 0, 0, 1, 0, count, 0, 0)
        return struct.pack(form.order + "10I", 0, 0, 0, 0, 0, 1, 0, count, 0, 0)


def module(form: Format, build_id: bytes | None, base: int = 0, code: bytes = b"code") -> bytes:
    """Two pages of an ELF module linked at ``base``: headers and build ID note, then ``code`` as its text."""
    note = form.note(3, build_id, b"GNU\0") if build_id is not None else b""
    note_at = form.header_size + 3 * form.entry_size
    table = [
        form.entry(PT_LOAD, 4, 0, base, PAGE, PAGE),
        form.entry(PT_LOAD, 5, PAGE, base + PAGE, PAGE, PAGE),
        form.entry(PT_NOTE, 4, note_at, base + note_at, len(note), len(note)),
    ]
    page = form.header(ET_DYN, 3) + b"".join(table) + note
    return page.ljust(PAGE, b"\0") + code.ljust(PAGE, b"\0")


def _page(size: int) -> int:
    return -(-size // PAGE) * PAGE


def write_core_of(path: Path, form: Format, mapped: Mapping[str, bytes]) -> Path:
    """A core with one thread and two pages for each file that was mapped, by its name."""
    writer, rows = CoreWriter(form), []
    writer.note(NT_PRSTATUS, form.prstatus(7, 11, [0] * 27))
    for number, (name, data) in enumerate(mapped.items()):
        start = 0x10000 * (number + 1)
        writer.memory(start, data, flags=5)
        rows.append((start, start + 2 * PAGE, 0, name.encode()))
    writer.note(NT_FILE, form.mappings(rows))
    return writer.write(path)
