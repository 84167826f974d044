"""Call frame information in the sections of a file, for code whose table for binary search is not in the core."""

import os
import pathlib
import struct
import zlib
from collections.abc import Iterator

from corebox.coredump.header import HEADER_SIZE, parse_header
from corebox.coredump.sections import SHF_COMPRESSED, SHT_NOBITS, inflated, read_sections
from corebox.files.extents import Extent, read_at
from corebox.gdbside.frames.cfi import (
    MAX_ENTRY_SIZE,
    Bytes,
    Common,
    DamagedError,
    Entry,
    Form,
    common_information,
    description,
)

_MAX_SECTION_SIZE = 64 << 20
#: Of a section: what a browser has is a third.
_MAX_COMMON = 1 << 15


def text_addresses(path: str) -> list[int]:
    """The address of a file's .text."""
    return [address for _, address, _ in frame_sections(path, (".text",))]


def frame_sections(
    path: str, wanted: tuple[str, ...] = (".eh_frame", ".debug_frame")
) -> Iterator[tuple[str, int, bytes]]:
    """Name, address and bytes of the sections of a file that have call frame information."""
    try:
        with pathlib.Path(path).open("rb") as file:
            descriptor = file.fileno()
            header = parse_header(read_at(descriptor, 0, HEADER_SIZE))
            found = read_sections(descriptor, header, os.fstat(descriptor).st_size) if header else {}
            for name in wanted:
                section = found.get(name)
                if section is not None and section.kind != SHT_NOBITS and section.size <= _MAX_SECTION_SIZE:
                    place = Extent(section.offset, section.size)
                    if section.flags & SHF_COMPRESSED and header:  # gdb alone reads those that zlib does not
                        data = inflated(descriptor, place, header, _MAX_SECTION_SIZE) or b""
                    else:
                        data = read_at(descriptor, *place)
                    yield name, section.address, data
    except (OSError, struct.error, zlib.error, MemoryError):
        return


def entries(data: Bytes, eh_frame: bool, form: Form) -> Iterator[tuple[Entry, int]]:
    """The FDEs of a section from where ``data`` is at, each with its place; what is damaged ends it."""
    commons: dict[int, Common | None] = {}
    try:
        while data.at + 4 < len(data.data):
            start = data.at
            size = data.number("I")
            body = data.at
            if size == 0 or size >= len(data.data):
                return
            mark = data.number("I")
            if mark != (0 if eh_frame else 0xFFFFFFFF):
                place = body - mark if eh_frame else mark
                if place not in commons and len(commons) < _MAX_COMMON:
                    commons[place] = _common_at(data, place, eh_frame, form)
                common = commons.get(place)
                if common is not None:
                    entry = Bytes(data.data[body : body + min(size, MAX_ENTRY_SIZE)], data.address + body, form)
                    entry.at = 4
                    yield description(entry, common, form), start
            data.at = body + size
    except DamagedError:
        return


def _common_at(data: Bytes, place: int, eh_frame: bool, form: Form) -> Common | None:
    """The CIE at a place of a section, None if there is none."""
    header = Bytes(data.data[place : place + 8] if place >= 0 else b"", 0, form)
    try:
        size, mark = header.number("I"), header.number("I")
        if mark != (0 if eh_frame else 0xFFFFFFFF):
            return None
        body = Bytes(data.data[place + 4 : place + 4 + min(size, MAX_ENTRY_SIZE)], data.address + place + 4, form)
        body.at = 4
        return common_information(body, eh_frame)
    except DamagedError:
        return None
