"""Which pages of a core are kept, within a budget of what they take when compressed."""

import sys
import zlib
from array import array
from typing import Dict, Iterable, List, Sequence, Set

from corebox.coredump.core import CoreFile
from corebox.files.extents import PAGE
from corebox.reduce.rewrite import Ranges

_MAX_READ_PAGES = 8192  # held in memory at a time
_HEADER_COST = 16  # of a page that stands alone: its program header, compressed
CELL = 128


class Keeper:
    """Pages by number, beside those of ``base``, which are kept anyway; ``left`` is what more may cost, in bytes."""

    def __init__(self, core: CoreFile, base: Ranges, budget: int) -> None:
        self.memory = core.memory
        self.pages: Set[int] = set()
        self.left = budget
        self._base = base
        self._read: Dict[int, "array[int]"] = {}
        self._type = "Q" if core.memory.word_size == 8 else "I"
        self._swapped = (core.memory.order == "<") != (sys.byteorder == "little")

    def keep(self, address: int, size: int) -> None:
        """Keep the pages of this range that the core has, as long as anything is left of the budget."""
        for number in range(max(0, address) // PAGE, (address + size - 1) // PAGE + 1):
            if self.left <= 0:
                return
            if not self._has(number) and self._page(number):
                self.pages.add(number)
                self.left -= len(zlib.compress(self._page(number).tobytes(), 1)) + _HEADER_COST

    def word(self, address: int) -> int:
        """The word at an address, 0 where the core has none."""
        return next(iter(self.words(address, 1)), 0)

    def words(self, address: int, count: int) -> Sequence[int]:
        """The aligned words from an address on, as far as the core has them within two pages."""
        size = self.memory.word_size
        number, start = divmod(max(0, address), PAGE)
        first = self._page(number)[start // size : start // size + count]
        if len(first) == count or start // size + count <= PAGE // size:
            return first
        return first + self._page(number + 1)[: count - len(first)]

    def targets(self, pointers: Iterable[int], reach: int, most: int) -> List[int]:
        """Where the words lead that are kept within ``reach`` behind the pointers; each once, in order."""
        cells: Dict[int, None] = {}
        for pointer in pointers:
            cells.update(dict.fromkeys(range(pointer // CELL, (pointer + reach - 1) // CELL + 1)))
            if len(cells) > most:
                break
        found: Dict[int, None] = {}
        for cell in cells:
            if self._has(cell * CELL // PAGE):
                found.update(dict.fromkeys(self.words(cell * CELL, CELL // self.memory.word_size)))
                if len(found) > most:
                    break
        return [word for word in found if self.is_address(word)]

    def is_address(self, word: int) -> bool:
        """Whether the core has the byte at this address."""
        return self.memory.lowest <= word < self.memory.highest and self.memory.segment_at(word) is not None

    def _has(self, number: int) -> bool:
        return number in self.pages or self._base.contains(number * PAGE)

    def _page(self, number: int) -> "array[int]":
        found = self._read.get(number)
        if found is None:
            if len(self._read) >= _MAX_READ_PAGES:
                self._read.clear()
            found = array(self._type)
            data = self.memory.read_available(number * PAGE, PAGE)
            found.frombytes(data[: len(data) // found.itemsize * found.itemsize])
            if self._swapped:
                found.byteswap()
            self._read[number] = found
        return found
