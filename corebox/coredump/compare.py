"""Compare what the core has of a module with a file, where no build ID can prove that they are the same."""

import os
from typing import Iterator, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.disk import open_regular, read_at
from corebox.coredump.header import HEADER_SIZE, PF_W, PT_LOAD, entry_struct, parse_header, parse_segments
from corebox.coredump.identity import load_bias
from corebox.coredump.values import Module, PageComparison, Segment

MOST_HEADERS = 4096


def compare_with_file(core: CoreFile, module: Module, path: str) -> PageComparison:
    """Compare the dumped bytes of the module's read-only segments with the file at ``path``.

    Segments that the file maps writable are left out: relocation and the program change them. A file that is no ELF
    file has no segments, and nothing is compared.
    """
    descriptor = open_regular(path)
    try:
        equal, different, first = 0, 0, None
        for offset, memory in _dumped(core, module, descriptor):
            disk = read_at(descriptor, offset, len(memory)).ljust(len(memory), b"\0")
            if disk == memory:
                equal += len(memory)
                continue
            unequal = [at for at in range(len(memory)) if memory[at] != disk[at]]
            different += len(unequal)
            equal += len(memory) - len(unequal)
            first = min(offset + unequal[0], offset + unequal[0] if first is None else first)
        return PageComparison(equal, different, first)
    finally:
        os.close(descriptor)


def _dumped(core: CoreFile, module: Module, descriptor: int) -> Iterator[Tuple[int, bytes]]:
    """Offset in the file and bytes in memory of what the core has of each read-only segment of the file."""
    segments = _read_segments(descriptor)
    size = os.fstat(descriptor).st_size
    bias = load_bias(segments, module.start)
    for segment in segments:
        if segment.kind == PT_LOAD and not segment.flags & PF_W:
            start = bias + segment.address
            length = min(segment.file_size, max(0, size - segment.offset))
            for address, data in core.memory.pieces(start, start + length):
                yield segment.offset + address - start, data


def _read_segments(descriptor: int) -> Tuple[Segment, ...]:
    header = parse_header(read_at(descriptor, 0, HEADER_SIZE))
    if header is None:
        return ()
    size = min(header.entries, MOST_HEADERS) * entry_struct(header).size
    return tuple(parse_segments(header, read_at(descriptor, header.table_offset, size)))
