"""Chunks of glibc's malloc."""

import struct

import pytest

from corebox.gdbside.memory.heap import chunk
from corebox.gdbside.memory.mapped import MappedCore
from tests.unit.gdbside.standin import WRITE, Memory, core

BASE, SIZE = 0x555000, 0x21000
CACHE = 0x290


class Process(Memory):
    def __init__(self, data: bytes, mapped: MappedCore | None = None) -> None:
        super().__init__({BASE: data})
        self.core = mapped or core((BASE, BASE + SIZE, WRITE))


def heap(*sizes: int, cached: int | None = None, mangled: bool = True, first: int = 0) -> bytearray:
    """The cache of the thread, then chunks of these sizes, then the top; flags within the size."""
    data = bytearray(SIZE)
    at = first
    for size in (CACHE | 1, *sizes):
        struct.pack_into("<Q", data, at + 8, size)
        at += size & ~7
    struct.pack_into("<Q", data, at + 8, SIZE - at | 1)
    if cached is not None:
        user = BASE + cached + 16
        size = struct.unpack_from("<Q", data, cached + 8)[0] & ~7
        struct.pack_into("<H", data, first + 16 + 2 * (size // 16 - 2), 1)
        struct.pack_into("<Q", data, first + 16 + 128 + 8 * (size // 16 - 2), user)
        struct.pack_into("<Q", data, cached + 16, user >> 12 if mangled else 0)
    return data


def test_a_chunk_in_use_with_the_offset_within() -> None:
    found = chunk(Process(bytes(heap(0x21, 0x31))), BASE + CACHE + 0x20 + 16 + 8)
    assert found is not None
    assert (found.start, found.size, found.freed, found.offset) == (BASE + CACHE + 0x20 + 16, 0x28, False, 8)
    assert found.text == "heap chunk of 40 bytes, in use (offset 8)"


def test_a_chunk_whose_successor_says_so_is_freed() -> None:
    found = chunk(Process(bytes(heap(0x421, 0x30))), BASE + CACHE + 16)
    assert found is not None
    assert found.text == "heap chunk of 1048 bytes, freed"


@pytest.mark.parametrize("mangled", [True, False])
def test_a_chunk_in_the_cache_of_a_thread_is_freed(mangled: bool) -> None:
    data = heap(0x21, 0x21, cached=CACHE, mangled=mangled)
    found, other = (chunk(Process(bytes(data)), BASE + CACHE + 16 + more) for more in (0, 0x20))
    assert found is not None
    assert other is not None
    assert (found.freed, other.freed) == (True, False)


def test_a_list_that_leads_to_a_chunk_of_another_size_says_nothing() -> None:
    data = heap(0x21, 0x31, cached=CACHE)
    struct.pack_into("<Q", data, 16 + 128, BASE + CACHE + 0x20 + 16)
    found = chunk(Process(bytes(data)), BASE + CACHE + 0x20 + 16)
    assert found is not None
    assert not found.freed


def test_the_top_is_free() -> None:
    found = chunk(Process(bytes(heap(0x21))), BASE + 0x8000)
    assert found is not None
    assert found.freed


def test_an_arena_of_another_thread_comes_before_its_first_chunk() -> None:
    found = chunk(Process(bytes(heap(0x21, first=0x8A0))), BASE + 0x8A0 + CACHE + 16)
    assert found is not None
    assert found.size == 0x18


def test_memory_that_is_mapped_for_one_chunk() -> None:
    data = bytearray(SIZE)
    struct.pack_into("<Q", data, 8, SIZE | 2)
    assert chunk(Process(bytes(data)), BASE + 0x100) is None  # nothing follows that would prove it


@pytest.mark.parametrize(
    "process",
    [
        Process(bytes(SIZE)),
        Process(bytes(heap(0x13))),
        Process(b""),
        Process(bytes(heap(0x21)), core((BASE, BASE + SIZE, WRITE), bits=32)),
        Process(bytes(heap(0x21)), core((BASE, BASE + SIZE, WRITE, "/dev/zero"))),
        Process(bytes(heap(0x21)), core((BASE, BASE + (1 << 30), WRITE))),
        Process(bytes(heap(0x21)), core((BASE, BASE + SIZE, 4))),
    ],
    ids=["zeros", "an odd size", "not in the core", "32 bits", "a file", "too large", "read-only"],
)
def test_what_is_no_heap(process: Process) -> None:
    assert chunk(process, BASE + 0x1000) is None


def test_before_the_first_chunk_there_is_none() -> None:
    assert chunk(Process(bytes(heap(0x21, first=0x20))), BASE + 8) is None
