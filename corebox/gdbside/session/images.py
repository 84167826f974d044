"""Where a file's code was, if it was mapped at an address of the core."""

import os
import re
from collections.abc import Sequence

from corebox.coredump import faults
from corebox.coredump.elffile import read_segments
from corebox.coredump.header import HEADER_SIZE, PF_X, PT_LOAD, Header, parse_header
from corebox.coredump.values import Segment
from corebox.files.extents import open_regular, read_at
from corebox.files.faults import unreadable
from corebox.gdbside.memory.mapped import MappedCore

_PAGE = 4096
_PARTS = 4
# A backslash before a character takes its meaning away (libiberty's buildargv).
_UNSAFE = re.compile(r"([^A-Za-z0-9/._+-])")


def read_image(path: str) -> tuple[Header, list[Segment]]:
    """The header and the loaded segments of an ELF file.

    Raises:
        InputError: it is none, or cannot be read.
    """
    descriptor = open_regular(path)
    try:
        header = parse_header(read_at(descriptor, 0, HEADER_SIZE))
        if header is None:
            raise faults.not_elf(path, "it does not begin as one")
        return header, [each for each in read_segments(descriptor, header) if each.kind == PT_LOAD]
    except OSError as error:
        raise unreadable(path, error) from error
    finally:
        os.close(descriptor)


def bias(start: int, core: MappedCore, segments: Sequence[Segment]) -> int:
    """How far a file's addresses lie from where it was linked; ``start`` is that of its first mapping."""
    mapping = core.at(start)
    offset = mapping.offset if mapping is not None and mapping.start == start else 0
    pages = [(each.offset & -_PAGE, each.address & -_PAGE) for each in segments]
    return start - next((address for at, address in pages if at == offset), pages[0][1] if pages else 0)


def places_of_code(moved: int, segments: Sequence[Segment]) -> list[int]:
    """Some addresses in the code of a file that was moved so far; not all of a segment is in a section."""
    code = [(moved + each.address, each.memory_size) for each in segments if each.flags & PF_X]
    return [start + size * part // _PARTS for start, size in code for part in range(_PARTS)]


def quoted(path: str) -> str:
    """A path as one argument of a gdb command."""
    return _UNSAFE.sub(r"\\\1", path)
