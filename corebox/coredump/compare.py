"""Compare what the core has of a module with a file, where no build ID can prove that they are the same."""

import operator
import os
from typing import Iterator, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.elffile import read_segments
from corebox.coredump.header import HEADER_SIZE, PF_W, PT_LOAD, parse_header
from corebox.coredump.identity import load_bias
from corebox.coredump.values import Module, PageComparison
from corebox.files.extents import read_at


def compare_with_file(core: CoreFile, module: Module, descriptor: int) -> PageComparison:
    """Compare the dumped bytes of the module's read-only segments with an open file.

    Segments that the file maps writable are left out: relocation and the program change them. A file that is not an
    ELF file has no segments, and nothing is compared.
    """
    equal, different, first = 0, 0, None
    for offset, memory in _dumped(core, module, descriptor):
        disk = read_at(descriptor, offset, len(memory)).ljust(len(memory), b"\0")
        if disk == memory:
            equal += len(memory)
            continue
        unequal = sum(map(operator.ne, memory, disk))
        different += unequal
        equal += len(memory) - unequal
        at = offset + next(at for at, (one, other) in enumerate(zip(memory, disk)) if one != other)
        first = at if first is None else min(first, at)
    return PageComparison(equal, different, first)


def _dumped(core: CoreFile, module: Module, descriptor: int) -> Iterator[Tuple[int, bytes]]:
    """Offset in the file and bytes in memory of what the core has of each read-only segment of the file."""
    header = parse_header(read_at(descriptor, 0, HEADER_SIZE))
    segments = read_segments(descriptor, header) if header else ()
    size = os.fstat(descriptor).st_size
    bias = load_bias(segments, module.start)
    for segment in segments:
        if segment.kind == PT_LOAD and not segment.flags & PF_W:
            start = bias + segment.address
            length = min(segment.file_size, max(0, size - segment.offset))
            for address, data in core.memory.pieces(start, start + length):
                yield segment.offset + address - start, data
