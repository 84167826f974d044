"""The dynamic loader's list of objects, walked through the core's memory.

AT_PHDR leads to the executable's program headers, PT_DYNAMIC to DT_DEBUG, that to ``struct r_debug`` and its
``r_map`` (link.h, gdb/solib-svr4.c). Every step is bounded, because any byte may be an attacker's.
"""

import os
from typing import Callable, Dict, List, Optional, Tuple

from corebox.coredump.format import PT_DYNAMIC, PT_LOAD, PT_PHDR, Layout, parse_program_headers
from corebox.coredump.notes import AT_PHDR
from corebox.coredump.values import LinkMapEntry, Segment

AT_PHENT, AT_PHNUM = 4, 5
DT_NULL, DT_DEBUG = 0, 21
MAX_OBJECTS = 65536
MAX_NAME = 4096
MAX_DYNAMIC = 4096  # entries; real dynamic sections have about thirty
_CHUNK = 256

ReadMemory = Callable[[int, int], bytes]  # (address, size) -> as many bytes as the core has


def read_link_map(read: ReadMemory, auxv: Dict[int, int], layout: Layout) -> Tuple[LinkMapEntry, ...]:
    """Walk the link map; () for a static program or where the core lacks the memory. Never raises for bad memory."""
    dynamic = _dynamic_address(read, auxv, layout)
    debug = _dynamic_value(read, dynamic, DT_DEBUG, layout) if dynamic else None
    if not debug:
        return ()
    words = layout.words(read(debug, 2 * layout.word))
    entries = []  # type: List[LinkMapEntry]
    seen = set()
    address = words[1] if len(words) == 2 else 0
    while address and address not in seen and len(entries) < MAX_OBJECTS:
        seen.add(address)
        fields = layout.words(read(address, 4 * layout.word))
        if len(fields) < 4:
            break
        base, name, dynamic, address = fields
        entries.append(LinkMapEntry(read_string(read, name), base, dynamic))
    return tuple(entries)


def executable_bias(read: ReadMemory, auxv: Dict[int, int], layout: Layout) -> Tuple[int, List[Segment]]:
    """The load bias of the executable and its program headers as they stood in memory; (0, []) if they are gone."""
    address = auxv.get(AT_PHDR, 0)
    size = min(auxv.get(AT_PHNUM, 0), 0xFFFF) * layout.program_header_size
    if not address or auxv.get(AT_PHENT, layout.program_header_size) != layout.program_header_size:
        return 0, []
    headers = parse_program_headers(read(address, size), layout)
    for header in headers:
        if header.kind == PT_PHDR:
            return _wrap(address - header.address, layout), headers
    # Without PT_PHDR the headers lie in the first page, so the first segment's header is on AT_PHDR's page.
    for header in headers:
        if header.kind == PT_LOAD and header.offset == 0:
            return _wrap((address & ~0xFFF) - (header.address & ~0xFFF), layout), headers
    return 0, headers


def _dynamic_address(read: ReadMemory, auxv: Dict[int, int], layout: Layout) -> Optional[int]:
    bias, headers = executable_bias(read, auxv, layout)
    for header in headers:
        if header.kind == PT_DYNAMIC:
            return _wrap(bias + header.address, layout)
    return None


def _dynamic_value(read: ReadMemory, address: int, wanted: int, layout: Layout) -> Optional[int]:
    words = layout.words(read(address, 2 * layout.word * MAX_DYNAMIC))
    for tag, value in zip(words[::2], words[1::2]):
        if tag == DT_NULL:
            return None
        if tag == wanted:
            return value
    return None


def read_string(read: ReadMemory, address: int) -> str:
    """The NUL-ended string at ``address``, at most MAX_NAME bytes of it."""
    data = b""
    while address and b"\0" not in data and len(data) < MAX_NAME:
        chunk = read(address + len(data), _CHUNK)
        if not chunk:
            break
        data += chunk
    return os.fsdecode(data.split(b"\0")[0])


def _wrap(address: int, layout: Layout) -> int:
    return address & ((1 << layout.bits) - 1)
