"""Which ELF files were mapped: NT_FILE and the link map, each giving what the other lacks.

NT_FILE has the resolved paths and survives truncation; the link map has the names as opened, which gdb asks for.
"""

from collections import OrderedDict
from typing import Dict, List, NamedTuple, Optional, Tuple

from corebox.coredump.format import (
    MAGIC,
    NT_GNU_BUILD_ID,
    PF_X,
    PT_LOAD,
    PT_NOTE,
    Layout,
    align4,
    parse_header,
    parse_note_header,
    parse_program_headers,
)
from corebox.coredump.linkmap import ReadMemory
from corebox.coredump.notes import AT_ENTRY, AT_PHDR, AT_SYSINFO_EHDR
from corebox.coredump.values import FileMapping, LinkMapEntry, Module, Segment

MAX_NOTE_SEGMENT = 64 << 10
MAX_BUILD_ID = 64  # bytes; SHA-1 gives 20, and no linker writes more than 64


class _Range(NamedTuple):
    """Where one file was mapped as an ELF image: the first byte and the byte after the last."""

    path: str
    start: int
    end: int
    deleted: bool


class Found(NamedTuple):
    """The modules by address, and the mapped files that are no ELF files."""

    modules: Tuple[Module, ...]
    others: Tuple[FileMapping, ...]


def find_modules(
    read: ReadMemory,
    layout: Layout,
    mappings: Tuple[FileMapping, ...],
    segments: List[Segment],
    link_map: Tuple[LinkMapEntry, ...],
    auxv: Dict[int, int],
    executed_as: Optional[str],
) -> Found:
    """Merge NT_FILE ``mappings`` and ``link_map`` into modules, each with the build ID that stood in memory."""
    ranges, others = _mapped_ranges(read, mappings, segments)
    named = _names_by_start(ranges, link_map)
    ranges.extend(_unmapped_entries(read, layout, ranges, link_map, auxv, executed_as))
    main = _executable_start(ranges, auxv)
    modules = []
    for found in sorted(ranges, key=lambda each: each.start):
        names = named.get(found.start, [])
        if found.start == main and executed_as:
            names = [executed_as] + names
        opened_as = tuple(OrderedDict.fromkeys(name for name in names if name))
        build_id = read_build_id(read, found.start, layout)
        modules.append(
            Module(found.path, opened_as, found.start, found.end, build_id, found.start == main, found.deleted)
        )
    return Found(tuple(modules), tuple(others))


def _mapped_ranges(
    read: ReadMemory, mappings: Tuple[FileMapping, ...], segments: List[Segment]
) -> Tuple[List[_Range], List[FileMapping]]:
    executable_pages = {segment.address for segment in segments if segment.flags & PF_X}
    by_path = OrderedDict()  # type: Dict[str, List[FileMapping]]
    for mapping in mappings:
        by_path.setdefault(mapping.path, []).append(mapping)
    ranges, others = [], []  # type: List[_Range], List[FileMapping]
    for rows in by_path.values():
        rows.sort()
        image = _image_range(read, rows, executable_pages)
        if image is None:
            others.append(rows[0])
        else:
            ranges.append(image)
    return ranges, others


def _image_range(read: ReadMemory, rows: List[FileMapping], executable_pages: "set[int]") -> Optional[_Range]:
    firsts = [row for row in rows if row.file_offset == 0]
    for first in firsts:
        if read(first.start, 4) == MAGIC:
            break
    else:
        # Without the ELF headers in the core (coredump_filter 0x23) only code tells a library from data.
        if not any(row.start in executable_pages for row in rows):
            return None
        first = firsts[0] if firsts else rows[0]
    end = first.end
    for row in rows:
        if row.start > first.start:
            if row.file_offset == 0 and read(row.start, 4) == MAGIC:
                break  # the same file once more, e.g. by dlmopen
            end = max(end, row.end)
    return _Range(first.path, first.start, end, first.deleted)


def _names_by_start(ranges: List[_Range], link_map: Tuple[LinkMapEntry, ...]) -> Dict[int, List[str]]:
    names = {}  # type: Dict[int, List[str]]
    for entry in link_map:
        for found in ranges:
            if found.start <= entry.dynamic < found.end:
                names.setdefault(found.start, []).append(entry.name)
    return names


def _unmapped_entries(
    read: ReadMemory,
    layout: Layout,
    ranges: List[_Range],
    link_map: Tuple[LinkMapEntry, ...],
    auxv: Dict[int, int],
    executed_as: Optional[str],
) -> List[_Range]:
    """Objects that NT_FILE does not name (there is none, or it was too large for the kernel)."""
    found = []
    for position, entry in enumerate(link_map):
        if any(known.start <= entry.dynamic < known.end for known in ranges):
            continue
        if entry.base == auxv.get(AT_SYSINFO_EHDR, -1) or entry.name.startswith("linux-"):
            continue  # the vdso: the kernel's, in no file
        # The executable is the first entry and has no name (glibc elf/rtld.c); its base is 0 unless it is a PIE.
        name = entry.name or (executed_as if position == 0 else None)
        start = _image_start(read, layout, entry, auxv if position == 0 else {})
        if name and start is not None:
            found.append(_Range(name, start, start + _image_size(read, start, layout), False))
    if not ranges and not found and executed_as and auxv.get(AT_PHDR):
        start = auxv[AT_PHDR] & ~0xFFF  # a static program without NT_FILE
        found.append(_Range(executed_as, start, start + _image_size(read, start, layout), False))
    return found


def _image_start(read: ReadMemory, layout: Layout, entry: LinkMapEntry, auxv: Dict[int, int]) -> Optional[int]:
    for start in (auxv.get(AT_PHDR, 0) & ~0xFFF, entry.base):
        if start and read(start, 4) == MAGIC:
            return start
    return entry.base or (auxv.get(AT_PHDR, 0) & ~0xFFF) or None


def _image_headers(read: ReadMemory, start: int, layout: Layout) -> List[Segment]:
    header = parse_header(read(start, layout.header_size))
    if header is None or header.layout != layout:
        return []
    size = header.program_header_count * layout.program_header_size
    return parse_program_headers(read(start + header.program_headers_offset, size), layout)


def _loads(headers: List[Segment]) -> List[Segment]:
    return [header for header in headers if header.kind == PT_LOAD]


def _image_size(read: ReadMemory, start: int, layout: Layout) -> int:
    loads = _loads(_image_headers(read, start, layout))
    if not loads:
        return 0x1000
    lowest = min(load.address for load in loads) & ~0xFFF
    return min(max(load.address + load.memory_size for load in loads) - lowest + 0xFFF & ~0xFFF, 1 << 40)


def _executable_start(ranges: List[_Range], auxv: Dict[int, int]) -> Optional[int]:
    """The module that holds AT_PHDR or AT_ENTRY is the executable: both are set by execve (fs/binfmt_elf.c)."""
    for key in (AT_PHDR, AT_ENTRY):
        address = auxv.get(key, 0)
        for found in ranges:
            if found.start <= address < found.end:
                return found.start
    return None


def read_build_id(read: ReadMemory, start: int, layout: Layout) -> Optional[str]:
    """The build ID of the ELF image at ``start``, through PT_NOTE in the core's own memory; None if it is not there."""
    headers = _image_headers(read, start, layout)
    loads = _loads(headers)
    if not loads:
        return None
    bias = start - (min(load.address for load in loads) & ~0xFFF)
    for header in headers:
        if header.kind == PT_NOTE:
            data = read(bias + header.address, min(header.memory_size, MAX_NOTE_SEGMENT))
            build_id = _build_id_in_notes(data, layout)
            if build_id:
                return build_id
    return None


def _build_id_in_notes(data: bytes, layout: Layout) -> Optional[str]:
    offset = 0
    while True:
        note = parse_note_header(data[offset : offset + 12 + 256], offset, layout)
        if note is None:
            return None
        descriptor = data[note.offset : note.offset + note.size]
        if note.name == b"GNU" and note.kind == NT_GNU_BUILD_ID and 0 < len(descriptor) == note.size <= MAX_BUILD_ID:
            return descriptor.hex()
        offset = note.offset + align4(note.size)
