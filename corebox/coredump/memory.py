"""The memory of the process, as far as the core has it."""

import bisect
import sys
from array import array
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from corebox.coredump import faults
from corebox.coredump.values import Segment
from corebox.files.extents import PAGE

# A dozen for each of a few thousand modules, read a few times each; a hostile core can show millions of modules.
MAX_HEADERS = 2000000


class Memory:
    """Reads by address. Holes of the file read as the zeros that they stand for.

    ``headers_left`` is how many program headers of modules may still be read out of it; ``segments_of`` remembers where
    a module that begins at an address has its segments of a kind.
    """

    def __init__(
        self, read_file: Callable[[int, int], bytes], segments: Sequence[Segment], order: str, word_size: int
    ) -> None:
        self.order = order
        self.word_size = word_size
        self.headers_left = MAX_HEADERS
        self.segments_of: Dict[Tuple[int, int], Optional[Tuple[int, ...]]] = {}
        self._read_file = read_file
        self._segments = sorted((s for s in segments if s.file_size), key=lambda s: s.address)
        self._starts: List[int] = [s.address for s in self._segments]
        self._before = [0]  # bytes in the segments before each
        for segment in self._segments:
            self._before.append(self._before[-1] + segment.file_size)
        self.lowest = min(self._starts, default=0)
        self.highest = max((s.address + s.file_size for s in self._segments), default=0)

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes; raises InputError memory-not-in-core if not all of them are there."""
        data = self.read_available(address, size)
        if len(data) < size:
            raise faults.not_in_core(address, size)
        return data

    def read_available(self, address: int, size: int) -> bytes:
        """As many of the ``size`` bytes as the core has from ``address`` on without a gap."""
        pieces: List[bytes] = []
        most = size // PAGE + 2  # segments are whole pages: those of a byte would cost a read for each byte
        while size > 0 and len(pieces) < most:
            index = bisect.bisect_right(self._starts, address) - 1
            if index < 0:
                break
            segment = self._segments[index]
            skip = address - segment.address
            wanted = min(size, segment.file_size - skip)
            piece = self._read_file(segment.offset + skip, wanted)
            pieces.append(piece)
            if len(piece) < wanted or not piece:
                break
            address += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def file_ranges(self, start: int, end: int) -> Iterator[Tuple[int, int]]:
        """Where the file has the memory from ``start`` to ``end``, in each segment that claims it: offset ranges."""
        index = max(0, bisect.bisect_right(self._starts, start) - 1)
        while index < len(self._segments) and self._starts[index] < end:
            segment = self._segments[index]
            low, high = max(start, segment.address), min(end, segment.address + segment.file_size)
            if low < high:
                yield segment.offset + low - segment.address, segment.offset + high - segment.address
            index += 1

    def segment_at(self, address: int) -> Optional[Segment]:
        """The segment that has the byte at ``address`` in the file, or None."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._segments[index].address + self._segments[index].file_size:
            return None
        return self._segments[index]

    def starts_with(self, magic: bytes) -> Iterator[int]:
        """The addresses of the segments that begin with these bytes."""
        for segment in self._segments:
            if self._read_file(segment.offset, len(magic)) == magic:
                yield segment.address

    def size_between(self, start: int, end: int) -> int:
        """How many bytes of the memory from ``start`` to ``end`` the core has."""
        return max(0, self._size_up_to(end) - self._size_up_to(start))

    def _size_up_to(self, address: int) -> int:
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0:
            return 0
        return self._before[index] + min(address - self._starts[index], self._segments[index].file_size)

    def pieces(self, start: int, end: int, most: int = 1 << 20) -> Iterator[Tuple[int, bytes]]:
        """What the core has of the memory from ``start`` to ``end``: address and at most ``most`` bytes each.

        Each byte comes once, however many segments claim to have it.
        """
        index = max(0, bisect.bisect_right(self._starts, start) - 1)
        while index < len(self._segments) and self._segments[index].address < end:
            segment = self._segments[index]
            address = max(start, segment.address)
            stop = min(end, segment.address + segment.file_size)
            while address < stop:
                data = self.read_available(address, min(most, stop - address))
                if not data:
                    break
                yield address, data
                address += len(data)
            start = max(start, address)
            index += 1

    def read_string(self, address: int, longest: int = 4096) -> bytes:
        """The bytes up to NUL, at most ``longest``; empty if they are not in the core or have no end."""
        data = b""
        while len(data) < longest:
            wanted = min(256, longest - len(data))
            piece = self.read_available(address + len(data), wanted)
            text, end, _ = piece.partition(b"\0")
            data += text
            if end:
                return data
            if len(piece) < wanted:
                break
        return b""


def read_pointers(memory: Memory, start: int, end: int) -> List[int]:
    """The distinct aligned words from ``start`` to ``end`` between the lowest and the highest address, in order."""
    words: Dict[int, None] = {}
    for _, data in memory.pieces(-(-start // 8) * 8, end):
        found = array("Q" if memory.word_size == 8 else "I")
        found.frombytes(data[: len(data) // found.itemsize * found.itemsize])
        if (memory.order == "<") != (sys.byteorder == "little"):
            found.byteswap()
        words.update(dict.fromkeys(word for word in found if memory.lowest <= word < memory.highest))
    return list(words)
