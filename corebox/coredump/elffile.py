"""Facts of ELF files on disk: what they are by their program headers, what they tell a debugger by their sections."""

import json
import os
import struct
from typing import Dict, NamedTuple, Optional, Tuple

from corebox.coredump import faults
from corebox.coredump.header import (
    HEADER_SIZE,
    MAGIC,
    PF_X,
    PT_DYNAMIC,
    PT_INTERP,
    PT_LOAD,
    Header,
    entry_struct,
    parse_header,
    parse_segments,
)
from corebox.coredump.identity import MAX_NOTES_LENGTH, build_id_of, lowest_page
from corebox.coredump.machines import machine_name
from corebox.coredump.notes import parse_build_id
from corebox.coredump.sections import SHT_NOBITS, SHT_NOTE, Section, read_sections
from corebox.coredump.values import ElfFile, Segment
from corebox.errors import InputError
from corebox.files.extents import open_regular, read_at
from corebox.files.faults import unreadable
from corebox.files.openfile import OpenFile

_KINDS = {1: "rel", 2: "exec", 3: "dyn", 4: "core"}
_MAPPED = ("exec", "dyn")
MAX_SEGMENTS = 4096
MAX_DYNAMIC_LENGTH = 1 << 16
MAX_STRING_LENGTH = 4096
MAX_PACKAGE_LENGTH = 200
NT_FDO_PACKAGING_METADATA = 0xCAFE1A7E
DT_NULL, DT_NEEDED, DT_STRTAB, DT_SONAME = 0, 1, 5, 14
MAX_NEEDED = 4096


class _Open(NamedTuple):
    """An open file with its headers; ``size`` is that of the file."""

    descriptor: int
    size: int
    header: Header
    segments: Tuple[Segment, ...]
    sections: Dict[str, Section]

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file, fewer at its end."""
        return read_at(self.descriptor, offset, min(size, max(0, self.size - offset)))

    def read_segment(self, segment: Segment) -> bytes:
        """The beginning of a segment."""
        return self.read(segment.offset, min(segment.file_size, MAX_NOTES_LENGTH))

    def read_section(self, name: str, kind: Optional[int] = None) -> bytes:
        """The beginning of a section, if there is one of this name, with bytes and of this type."""
        section = self.sections.get(name)
        if section is None or section.kind == SHT_NOBITS or kind not in (None, section.kind):
            return b""
        return self.read(section.offset, min(section.size, MAX_NOTES_LENGTH))

    def string(self, address: int) -> str:
        """The string that is linked at ``address``."""
        for segment in self.segments:
            if segment.kind == PT_LOAD and segment.address <= address < segment.address + segment.file_size:
                data = self.read(segment.offset + address - segment.address, MAX_STRING_LENGTH)
                return os.fsdecode(data.split(b"\0", 1)[0])
        return ""


def is_elf(path: str) -> bool:
    """Whether the file begins as ELF files do; raises as ``read_elf`` does if it cannot be read."""
    descriptor = open_regular(path)
    try:
        return read_at(descriptor, 0, len(MAGIC)) == MAGIC
    except OSError as error:
        raise unreadable(path, error) from error
    finally:
        os.close(descriptor)


def debug_path(build_id: str) -> str:
    """Where gdb looks for the debug file of a build ID, below a debug-file-directory.

    gdb manual, "Separate Debug Files".
    """
    return ".build-id/{}/{}.debug".format(build_id[:2], build_id[2:])


def read_elf(path: str) -> ElfFile:
    """Facts of the ELF file at ``path``.

    Raises:
        InputError: ``not-elf``, ``no-such-file``, ``not-a-file``, ``cannot-read``.
    """
    descriptor = open_regular(path)
    try:
        return read_facts(descriptor, path)
    finally:
        os.close(descriptor)


def read_facts(descriptor: int, path: str) -> ElfFile:
    """Facts of an open file; ``path`` is what errors call it.

    Raises:
        InputError: ``not-elf``, ``cannot-read``.
    """
    try:
        header = parse_header(read_at(descriptor, 0, HEADER_SIZE))
        if header is None:
            raise faults.not_elf(path, "it has no ELF header")
        size = os.fstat(descriptor).st_size
        segments = read_segments(descriptor, header)
        mapped = _KINDS.get(header.kind) in _MAPPED and (header.entries or header.sections)
        if mapped and not any(segment.kind == PT_LOAD for segment in segments):
            raise faults.not_elf(path, "its headers are damaged")
        return _facts(_Open(descriptor, size, header, segments, read_sections(descriptor, header, size)))
    except OSError as error:
        raise unreadable(path, error) from error


def elf_of(file: Optional[OpenFile]) -> Optional[ElfFile]:
    """Facts of a file that was found, which are read once; None for no file, another kind, or a damaged one."""
    return file.once(_facts_or_why)[0] if file else None


def why_not_elf(file: OpenFile) -> str:
    """What is wrong with it where ``elf_of`` gives None."""
    return file.once(_facts_or_why)[1]


def _facts_or_why(file: OpenFile) -> Tuple[Optional[ElfFile], str]:
    try:
        return read_facts(file.fileno(), file.name), ""
    except InputError as error:
        return None, error.message


class Identity(NamedTuple):
    """What tells an ELF file from others without looking at much of it; build ID in lower-case hex."""

    build_id: Optional[str]


def read_identity(descriptor: int) -> Optional[Identity]:
    """The identity of an open file by its program headers alone; None if it is not an ELF file that can be mapped."""
    try:
        header = parse_header(read_at(descriptor, 0, HEADER_SIZE))
        segments = read_segments(descriptor, header) if header and _KINDS.get(header.kind) in _MAPPED else ()
        if header is None or not any(segment.kind == PT_LOAD for segment in segments):
            return None
        size = os.fstat(descriptor).st_size
        return Identity(build_id_of(header.order, segments, _Open(descriptor, size, header, segments, {}).read_segment))
    except OSError:
        return None


def read_segments(descriptor: int, header: Header) -> Tuple[Segment, ...]:
    """The program headers of an open file, as many as are there; none if the ELF header gives them an odd size."""
    size = entry_struct(header).size
    if header.entry_size != size:
        return ()
    table = read_at(descriptor, header.table_offset, min(header.entries, MAX_SEGMENTS) * size)
    return tuple(parse_segments(header, table))


def _facts(file: _Open) -> ElfFile:
    header, sections = file.header, file.sections
    hollow = _is_hollow(file)
    dynamic = () if hollow else _read_dynamic(file)
    strings = next((value for tag, value in dynamic if tag == DT_STRTAB), 0)
    soname = next((file.string(strings + value) for tag, value in dynamic if tag == DT_SONAME), None)
    needed = [strings + value for tag, value in dynamic if tag == DT_NEEDED][:MAX_NEEDED]
    return ElfFile(
        machine=machine_name(header.machine, header.bits, header.byte_order),
        bits=header.bits,
        byte_order=header.byte_order,
        kind=_KINDS.get(header.kind, "other"),
        build_id=_build_id(file),
        soname=soname,
        needed=tuple(file.string(address) for address in needed),
        interpreter=None if hollow else _interpreter(file),
        debuglink=_parse_debuglink(file.read_section(".gnu_debuglink"), header),
        stripped=".symtab" not in sections and not _has_debug_info(sections),
        has_debug_info=_has_debug_info(sections),
        debugaltlink=_parse_debugaltlink(file.read_section(".gnu_debugaltlink")),
        package=_parse_package(file.read_section(".note.package", SHT_NOTE), header),
        lowest_page=lowest_page(file.segments),
        hollow=hollow,
        whole=_is_whole(file),
    )


def _has_debug_info(sections: Dict[str, Section]) -> bool:
    return ".debug_info" in sections or ".zdebug_info" in sections


def _is_hollow(file: _Open) -> bool:
    """Whether it is a debug file, whose code and data have no bytes and whose program headers may lie about where.

    objcopy(1), --only-keep-debug, leaves the sections without bytes; newer ones say so in the program headers.
    """
    kinds = [file.sections[name].kind for name in (".interp", ".dynamic", ".text") if name in file.sections]
    code = [s.file_size for s in file.segments if s.kind == PT_LOAD and s.flags & PF_X and s.memory_size]
    return SHT_NOBITS in kinds or (bool(code) and not any(code))


def _is_whole(file: _Open) -> bool:
    loads = [segment for segment in file.segments if segment.kind == PT_LOAD]
    code = [segment.file_size for segment in loads if segment.flags & PF_X and segment.memory_size]
    return all(s.offset + s.file_size <= file.size for s in loads) and (any(code) or not code)


def _build_id(file: _Open) -> Optional[str]:
    """By the program headers; debug files and object files have it in a section only."""
    order = file.header.order
    found = build_id_of(order, file.segments, file.read_segment)
    data = file.read_section(".note.gnu.build-id", SHT_NOTE) if found is None else b""
    return found or parse_build_id(order, data, 4) or parse_build_id(order, data, 8)


def _interpreter(file: _Open) -> Optional[str]:
    for segment in file.segments:
        if segment.kind == PT_INTERP:
            return os.fsdecode(file.read(segment.offset, min(segment.file_size, MAX_STRING_LENGTH)).split(b"\0", 1)[0])
    return None


def _read_dynamic(file: _Open) -> Tuple[Tuple[int, int], ...]:
    """The dynamic section (ELF gABI, chapter 5) as pairs of tag and value."""
    for segment in file.segments:
        if segment.kind == PT_DYNAMIC:
            pair = struct.Struct(file.header.order + 2 * file.header.word)
            data = file.read(segment.offset, min(segment.file_size, MAX_DYNAMIC_LENGTH))
            found = list(pair.iter_unpack(data[: len(data) // pair.size * pair.size]))
            tags = [key for key, _ in found]
            return tuple(found[: tags.index(DT_NULL)] if DT_NULL in tags else found)
    return ()


def _parse_debuglink(data: bytes, header: Header) -> Optional[Tuple[str, int]]:
    """A name ended by NUL, padding to 4 bytes, CRC-32 of the file (gdb manual, "Separate Debug Files")."""
    name = data.split(b"\0", 1)[0]
    crc_at = (len(name) + 4) // 4 * 4
    if not name or len(data) < crc_at + 4:
        return None
    return os.fsdecode(name), int(struct.unpack_from(header.order + "I", data, crc_at)[0])


def _parse_debugaltlink(data: bytes) -> Optional[Tuple[str, str]]:
    """A name ended by NUL, then the build ID of the file (dwz(1))."""
    name, _, build_id = data.partition(b"\0")
    return (os.fsdecode(name), build_id.hex()) if name and 0 < len(build_id) <= 64 else None


def _parse_package(data: bytes, header: Header) -> Optional[str]:
    """A note of the owner FDO with a JSON object (systemd.io, "ELF Package Metadata"): its name and version."""
    if len(data) < 16 or struct.unpack_from(header.order + "III", data)[::2] != (4, NT_FDO_PACKAGING_METADATA):
        return None
    try:
        found = json.loads(data[16 : 16 + struct.unpack_from(header.order + "I", data, 4)[0]].rstrip(b"\0").decode())
    except (ValueError, RecursionError):
        return None
    words = [found.get(key) for key in ("name", "version")] if isinstance(found, dict) else []
    return " ".join(word for word in words if isinstance(word, str))[:MAX_PACKAGE_LENGTH] or None
