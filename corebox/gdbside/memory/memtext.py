"""Runs inside gdb: text that a library left in memory when it reported an error."""

import time

import gdb

from corebox.gdbside.memory import corefile

_LARGEST, _BUDGET = 256 << 20, 1 << 30  # bytes: of one mapping, of all
_SECONDS = 20
_BEFORE, _AFTER = 512, 16 << 10
_MOST_HITS = 64


def search(fault, mark, pattern, after=_AFTER):
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
        found = data and _about(pattern, data, address - start)
        if found:
            return found
    return None


def _about(pattern, data, at):
    return next((each for each in pattern.finditer(data) if each.start() <= at <= each.end()), None)


def _hits(fault, mark):
    stack = fault.core.at(fault.stack) if fault.stack is not None else None
    searched = [each for each in fault.core.mappings if each.flags & corefile.PF_W and each is not stack]
    budget, until = _BUDGET, time.monotonic() + _SECONDS
    for mapping in ([stack] if stack else []) + sorted(searched, key=lambda each: each.end - each.start):
        size = mapping.end - mapping.start
        budget -= size
        if size > _LARGEST or budget < 0 or time.monotonic() > until:
            return
        yield from _in_mapping(mapping, mark)


def _in_mapping(mapping, mark):
    at, hits = mapping.start, 0
    while at < mapping.end and hits < _MOST_HITS:
        try:
            found = gdb.selected_inferior().search_memory(at, mapping.end - at, mark)
        except (gdb.error, gdb.MemoryError):
            return
        if found is None:
            return
        yield found, mapping.end
        at, hits = found + 1, hits + 1


def decoded(data):
    """Bytes of memory as a text."""
    return None if data is None else data.decode("utf-8", "replace").strip()
