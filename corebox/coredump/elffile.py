"""The facts of an ELF file on disk, through pyelftools. Files are read, never executed."""

import struct
from typing import IO, Iterator, Optional, Tuple

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section
from elftools.elf.segments import InterpSegment, NoteSegment

from corebox.coredump import faults
from corebox.coredump.format import MACHINES, MAGIC, Layout, parse_header
from corebox.coredump.values import ElfFile

# What pyelftools 0.32 raises on damaged files, beside its own two: seen by feeding it mutated files.
_DAMAGE = (
    ELFError,
    ConstructError,
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
)
MAX_SECTIONS = 65536
MAX_NOTES = 256
MAX_DYNAMIC = 4096


def is_elf(path: str) -> bool:
    """Whether the file begins with the ELF magic; False if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == MAGIC
    except OSError:
        return False


def read_elf(path: str) -> ElfFile:
    """Read the facts of the ELF file at ``path``.

    Raises:
        InputError: ``not-elf``, ``no-such-file``.
        HostError: ``cannot-read``.
    """
    try:
        with open(path, "rb") as stream:
            header = parse_header(stream.read(64))
            if header is None:
                raise faults.not_elf(path, "it does not begin as one")
            return _read(stream, path)
    except OSError as error:
        raise faults.unreadable(path, error) from error


def _read(stream: IO[bytes], path: str) -> ElfFile:
    try:
        elf = ELFFile(stream)
        header = parse_header(_start(stream))
        layout = header.layout if header else Layout(64, "little")
        build_id, interpreter, soname, needed = None, None, None, ()  # type: ignore[var-annotated]
        for segment in _segments(elf):
            if isinstance(segment, NoteSegment):
                build_id = build_id or _build_id(segment)
            elif isinstance(segment, InterpSegment):
                interpreter = segment.get_interp_name()
            elif isinstance(segment, DynamicSegment):
                soname, needed = _dynamic(segment)
        names, debuglink, noted = _sections(elf)
        return ElfFile(
            machine=header.machine_name if header else MACHINES[62],
            bits=layout.bits,
            byte_order=layout.byte_order,
            kind={"ET_EXEC": "exec", "ET_DYN": "dyn", "ET_CORE": "core"}.get(str(elf["e_type"]), "rel"),
            build_id=build_id or noted,
            soname=soname,
            needed=needed,
            interpreter=interpreter,
            debuglink=debuglink,
            stripped=".symtab" not in names and ".debug_info" not in names,
            has_debug_info=bool(names & {".debug_info", ".zdebug_info"}),
        )
    except _DAMAGE as error:
        raise faults.not_elf(path, "its headers are damaged ({})".format(type(error).__name__)) from error


def _start(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read(64)


def _segments(elf: ELFFile) -> Iterator[object]:
    for index in range(min(elf.num_segments(), MAX_SECTIONS)):
        yield elf.get_segment(index)


def _build_id(notes: object) -> Optional[str]:
    for count, note in enumerate(notes.iter_notes()):  # type: ignore[attr-defined]
        if note["n_type"] == "NT_GNU_BUILD_ID" and note["n_name"] == "GNU" and note["n_desc"]:
            return str(note["n_desc"])
        if count >= MAX_NOTES:
            break
    return None


def _dynamic(segment: DynamicSegment) -> Tuple[Optional[str], Tuple[str, ...]]:
    soname, needed = None, []
    for count, tag in enumerate(segment.iter_tags()):
        if tag.entry.d_tag == "DT_SONAME":
            soname = tag.soname
        elif tag.entry.d_tag == "DT_NEEDED":
            needed.append(tag.needed)
        if count >= MAX_DYNAMIC:
            break
    return soname, tuple(needed)


def _sections(elf: ELFFile) -> "Tuple[set[str], Optional[Tuple[str, int]], Optional[str]]":
    """Section names, the debuglink, and a build ID that only a section has (debug files have no note segment)."""
    names, debuglink, build_id = set(), None, None
    for index in range(min(elf.num_sections(), MAX_SECTIONS)):
        section = elf.get_section(index)
        names.add(section.name)
        if section.name == ".gnu_debuglink":
            debuglink = _debuglink(section, elf.little_endian)
        elif section.name == ".note.gnu.build-id" and section["sh_type"] == "SHT_NOTE":
            build_id = _build_id(section)
    return names, debuglink, build_id


def _debuglink(section: Section, little_endian: bool) -> Optional[Tuple[str, int]]:
    # A NUL-ended name, padding to 4 bytes, and the CRC32 of the debug file (gdb manual, "Separate Debug Files").
    if section["sh_size"] > 8192:
        return None
    data = section.data()
    name = data.split(b"\0")[0]
    crc = int.from_bytes(data[-4:], "little" if little_endian else "big")
    return name.decode("utf-8", "surrogateescape"), crc
