"""Text that a library left in memory when it reported an error."""

import re
import time
from collections.abc import Iterator

from corebox.gdbside.memory.mapped import PF_W, Mapped
from corebox.gdbside.memory.reach import within_reach
from corebox.gdbside.why.facts import Fault

_MAX_SIZE, _BUDGET = 256 << 20, 1 << 30  # bytes: of one mapping, of all
_SECONDS = 20
_BEFORE, _AFTER = 512, 16 << 10
_MAX_HITS = 64


def search(fault: Fault, mark: bytes, pattern: re.Pattern[bytes], after: int = _AFTER) -> re.Match[bytes] | None:
    """The first match of ``pattern`` about an occurrence of the bytes ``mark`` in writable memory, or None.

    The stack of the thread comes first, then small mappings before large ones.
    """
    for address, end in _hits(fault, mark):
        start = address
        while start > address - _BEFORE and start & 0xFFF:
            start -= 1  # to the page's start at most: what is before it may not be in the core
        size = min(after, end - address)
        data = fault.read(start, address - start + size)
        while data is None and size > len(mark):
            size //= 2
            data = fault.read(start, address - start + size)
        found = _about(pattern, data, address - start) if data else None
        if found:
            return found
    return None


def _about(pattern: re.Pattern[bytes], data: bytes, at: int) -> re.Match[bytes] | None:
    return next((each for each in pattern.finditer(data) if each.start() <= at <= each.end()), None)


def _hits(fault: Fault, mark: bytes) -> Iterator[tuple[int, int]]:
    stack = fault.core.at(fault.stack) if fault.stack is not None else None
    searched = [each for each in fault.core.mappings if each.flags & PF_W and each is not stack]
    budget, until = within_reach(_BUDGET), time.monotonic() + _SECONDS
    for mapping in ([stack] if stack else []) + sorted(searched, key=lambda each: each.end - each.start):
        size = mapping.end - mapping.start
        budget -= size
        if size > _MAX_SIZE or budget < 0 or time.monotonic() > until:
            return
        yield from _in_mapping(fault, mapping, mark)


def _in_mapping(fault: Fault, mapping: Mapped, mark: bytes) -> Iterator[tuple[int, int]]:
    at, hits = mapping.start, 0
    while at < mapping.end and hits < _MAX_HITS:
        found = fault.debugger.search(at, mapping.end - at, mark)
        if found is None:
            return
        yield found, mapping.end
        at, hits = found + 1, hits + 1


def decoded(data: bytes) -> str:
    """Bytes of memory as a text."""
    return data.decode("utf-8", "replace").strip()
