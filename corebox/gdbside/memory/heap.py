"""The chunk of glibc's malloc that an address is in, without symbols (glibc 2.26 to 2.41).

Layout: malloc/malloc.c (malloc_chunk, tcache_perthread_struct) and arena.c (heap_info). A chunk has its size, with
three flags, before the memory that malloc returns; a heap is chunk after chunk.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from corebox.gdbside.memory.mapped import PF_W, Mapped, MappedCore
from corebox.gdbside.memory.reach import within_reach

_PREVIOUS_IN_USE, _MMAPPED, _FLAGS = 1, 2, 7
_MAX_CHUNKS, _MAX_HEAP_SIZE, _MAX_CACHES = 400_000, 256 << 20, 1024
_TCACHE_CHUNK = 0x290  # of the first chunk of a heap since 2.30: counts of 16 bits, then 64 lists
_OLD_TCACHE_CHUNK = 0x250
_BINS, _MAX_IN_BIN = 64, 64


class Chunk(NamedTuple):
    """A piece of the heap: where its memory begins, how much it is, and whether it was freed."""

    start: int
    size: int
    freed: bool
    offset: int

    @property
    def text(self) -> str:
        """In words."""
        at = f" (offset {self.offset})" if self.offset else ""
        return f"heap chunk of {self.size} bytes, {'freed' if self.freed else 'in use'}{at}"


class _Heap:
    """The chunks of one heap: the offsets where they begin, and which are in a thread's cache of freed ones."""

    def __init__(self, base: int, data: bytes) -> None:
        self.base, self.data = base, data
        self.chunks, self.cached = list[int](), set[int]()

    def word(self, offset: int) -> int:
        return int.from_bytes(self.data[offset : offset + 8], "little")


class Process(Protocol):
    """Whose heap it is: what was mapped, and its memory, None where the core does not have all of it."""

    @property
    def core(self) -> MappedCore:
        """What was mapped."""

    def read(self, address: int, size: int) -> bytes | None:
        """Memory."""


_heaps: dict[tuple[MappedCore, int, int], _Heap | None] = {}


def chunk(fault: Process, address: int) -> Chunk | None:
    """The chunk that holds ``address``, or None if that is not in a heap of glibc that can be read."""
    if fault.core.word != 8 or fault.core.byte_order != "little":
        return None
    mapping = fault.core.at(address)
    if mapping is None or mapping.path or not mapping.flags & PF_W:
        return None
    heap = _heap(fault, mapping)
    return _find(heap, address - heap.base) if heap else None


def _heap(fault: Process, mapping: Mapped) -> _Heap | None:
    key = (fault.core, mapping.start, mapping.end)
    if key not in _heaps:
        _heaps[key] = _walked(fault, mapping)
    return _heaps[key]


def _walked(fault: Process, mapping: Mapped) -> _Heap | None:
    if mapping.end - mapping.start > within_reach(_MAX_HEAP_SIZE):
        return None
    data = fault.read(mapping.start, mapping.end - mapping.start)
    if data is None:
        return None
    heap, most = _Heap(mapping.start, data), _MAX_CHUNKS
    for first in _firsts(heap):
        heap.chunks, walked = _chunks(heap, first, most)
        most -= walked  # of all places where a heap may begin
        if len(heap.chunks) > 1:
            _read_caches(heap)
            return heap
    return None


def _firsts(heap: _Heap) -> Iterator[int]:
    """Where the first chunk may be: at the start, behind an arena of another thread, or the cache anywhere."""
    if heap.word(8) & ~_FLAGS in (_TCACHE_CHUNK, _OLD_TCACHE_CHUNK):
        yield 0
    for at in range(0x20, min(0x1000, len(heap.data) - 16), 16):
        if heap.word(at + 8) & ~_FLAGS in (_TCACHE_CHUNK, _OLD_TCACHE_CHUNK) and heap.word(at + 8) & _PREVIOUS_IN_USE:
            yield at
    if heap.word(8) & _MMAPPED and heap.word(8) & ~_FLAGS <= len(heap.data):
        yield 0


def _chunks(heap: _Heap, at: int, most: int) -> tuple[list[int], int]:
    """The chunks from ``at`` on, none if that is no heap; and how many were walked."""
    found, end = list[int](), len(heap.data)
    while at + 16 <= end and len(found) < most:
        size = heap.word(at + 8) & ~_FLAGS
        if size < 32 or size % 16 or at + size > end:
            return (found if found and size + at >= end else []), len(found)
        found.append(at)
        at += size
    return found, len(found)


def _read_caches(heap: _Heap) -> None:
    """What is in the caches of threads (tcache): such chunks are marked as in use."""
    sizes = ((at, heap.word(at + 8) & ~_FLAGS) for at in heap.chunks)
    caches = (each for each in sizes if each[1] in (_TCACHE_CHUNK, _OLD_TCACHE_CHUNK))
    for at, size in itertools.islice(caches, _MAX_CACHES):
        lists = at + 16 + (2 * _BINS if size == _TCACHE_CHUNK else _BINS)
        for index in range(_BINS):
            _follow(heap, heap.word(lists + 8 * index), 16 * (index + 2))


def _follow(heap: _Heap, address: int, size: int) -> None:
    """A list of freed memory of one size; since 2.32 its links are mangled (PROTECT_PTR)."""
    found = []
    for _ in range(_MAX_IN_BIN):
        at = address - heap.base
        if not address or not 16 <= at < len(heap.data) - 8:
            break
        if heap.word(at - 8) & ~_FLAGS != size:
            return
        found.append(at - 16)
        following = heap.word(at)
        mangled = following ^ (address >> 12)
        address = mangled if _is_link(heap, mangled, size) else following
    heap.cached.update(found)


def _is_link(heap: _Heap, address: int, size: int) -> bool:
    at = address - heap.base
    return not address or (16 <= at < len(heap.data) and heap.word(at - 8) & ~_FLAGS == size)


def _find(heap: _Heap, offset: int) -> Chunk | None:
    index = _last_at(heap.chunks, offset)
    if index is None:
        return None
    at = heap.chunks[index]
    size = heap.word(at + 8) & ~_FLAGS
    if index + 1 == len(heap.chunks) and not heap.word(at + 8) & _MMAPPED:
        return Chunk(heap.base + at + 16, size - 16, True, offset - at - 16)  # the top of the heap
    behind = heap.word(at + size + 8) if at + size + 16 <= len(heap.data) else _PREVIOUS_IN_USE
    freed = at in heap.cached or not behind & _PREVIOUS_IN_USE
    return Chunk(heap.base + at + 16, size - 8, freed, offset - at - 16)


def _last_at(chunks: Sequence[int], offset: int) -> int | None:
    low, high = 0, len(chunks)
    while low < high:
        middle = (low + high) // 2
        if chunks[middle] <= offset:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low else None
