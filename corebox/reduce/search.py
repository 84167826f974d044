"""Finding many texts at once in a core, also where only the beginning of one is left.

One pass, whatever their number: each text contains an aligned word of the memory, if it is there, and a set of all
words that can be that one is asked of every word.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right
from itertools import islice
from typing import AbstractSet, Dict, FrozenSet, Iterable, Iterator, List, Sequence, Set, Tuple

#: The shortest beginning of a text that is found.
MIN_LENGTH = 8
#: All that is looked for has as many bytes: an aligned word of 4 bytes is in it wherever it begins.
HEAD = 7
MAX_PIECES = 1 << 17
#: So much is blanked of a value that is not one of today's, if it does not end.
MAX_OLD_VALUE_LENGTH = 4096
_PART = 1 << 14
# Within what was found, so many further beginnings are tried.
_TRIES = 128

Match = Tuple[int, int]


class Texts:
    """Texts, sorted, so that the one with the longest common beginning is next to where a piece would stand."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        self.sorted = sorted(set(texts))
        self.longest = max((len(text) for text in self.sorted), default=0)

    def common(self, data: bytes, at: int) -> int:
        """How many bytes at ``at`` are the beginning of a text."""
        piece = data[at : at + self.longest]
        index = bisect_left(self.sorted, piece)
        return max((_common(piece, text) for text in self.sorted[max(0, index - 1) : index + 1]), default=0)

    def whole(self, data: bytes, at: int) -> bytes:
        """The text that stands at ``at`` in full, or nothing; none of them may begin with another."""
        index = bisect_right(self.sorted, data[at : at + self.longest])
        text = self.sorted[index - 1] if index else b""
        return text if text and data.startswith(text, at) else b""


def _common(one: bytes, other: bytes) -> int:
    """Bytes that both begin with, by halving: texts have up to 128 KiB."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class Words:
    """The positions in memory where one of some texts can begin, by the aligned words of ``size`` bytes there."""

    def __init__(self, texts: Iterable[bytes], size: int, step: int) -> None:
        """Texts begin at multiples of ``step`` bytes; each has at least ``2 * size - step`` bytes."""
        self._size = size
        self._offsets: Dict[int, Set[int]] = {}
        for text in texts:
            for offset in range(0, size, step):
                word = int.from_bytes(text[offset : offset + size], sys.byteorder)
                self._offsets.setdefault(word, set()).add(offset)
        self._words: FrozenSet[int] = frozenset(self._offsets)

    def positions(self, data: bytes) -> Iterator[int]:
        """Nearly ascending."""
        for at, word in _occurrences(data, self._size, self._words):
            for offset in self._offsets[word]:
                if at >= offset:
                    yield at - offset


class Search:
    """What to look for: beginnings of ``texts``, ``wholes`` (NAME=VALUE and NUL), ``names`` (NUL and NAME=).

    ``wide`` are texts in UTF-16 or UTF-32, with the number of bytes that the shortest beginning has.
    """

    def __init__(
        self,
        texts: Sequence[bytes],
        wholes: Sequence[bytes] = (),
        names: Sequence[bytes] = (),
        wide: Sequence[Tuple[bytes, int]] = (),
    ) -> None:
        self._texts, self._wholes, self._names = Texts(texts), Texts(wholes), Texts(names)
        self._heads = {text[:HEAD] for text in (*texts, *wholes, *names)}
        self._narrow = Words((*texts, *wholes, *names), 4, 1)
        sizes = {shortest for _, shortest in wide}
        self._wide = {shortest: Texts(text for text, size in wide if size == shortest) for shortest in sizes}
        self._wide_words = Words((text for text, _ in wide), 8, 2)
        tables = (self._texts, self._wholes, self._names, *self._wide.values())
        self.overlap = max(MAX_OLD_VALUE_LENGTH, *(table.longest for table in tables))

    def find(self, data: bytes, end: int) -> Iterator[Tuple[Match, bool]]:
        """What begins before ``end`` in ``data``: range, and whether it is the beginning of one of ``texts``."""
        seen, tries = 0, 0
        for at in self._narrow.positions(data):
            if at >= end or data[at : at + HEAD] not in self._heads:
                continue
            tries = 0 if at >= seen else tries + 1
            if tries > _TRIES:
                continue
            for match, is_text in self._narrow_at(data, at):
                seen = max(seen, match[1])
                yield match, is_text
        for at in self._wide_words.positions(data):
            for shortest, table in self._wide.items() if at < end else ():
                size = table.common(data, at)
                if size >= shortest:
                    yield (at, at + size), False

    def _narrow_at(self, data: bytes, at: int) -> Iterator[Tuple[Match, bool]]:
        size = self._texts.common(data, at)
        if size >= MIN_LENGTH:
            yield (at, at + size), True
        whole = self._wholes.whole(data, at)
        if whole:
            yield (at + whole.index(b"=") + 1, at + len(whole) - 1), False
        name = self._names.whole(data, at)
        if name:
            start = at + len(name)
            most = min(len(data), start + MAX_OLD_VALUE_LENGTH)
            stop = data.find(b"\0", start, most)
            yield (start, most if stop < 0 else stop), False


class Pieces:
    """All 8 bytes of some texts, for the middle of one that a register or an old stack frame has."""

    def __init__(self, texts: Iterable[bytes], known: bytes) -> None:
        """What ``known`` has, too, is no piece."""
        pieces = (text[at : at + MIN_LENGTH] for text in texts for at in range(len(text) - MIN_LENGTH + 1))
        self._pieces = {piece for piece in islice(pieces, MAX_PIECES) if piece not in known}
        self._words = {int.from_bytes(each[at : at + 4], sys.byteorder) for each in self._pieces for at in range(4)}

    def find(self, data: bytes) -> Iterator[Match]:
        """The ranges of the pieces, which may overlap."""
        for found, _ in _occurrences(data, 4, self._words):
            for at in range(max(0, found - 3), found + 1):
                if data[at : at + MIN_LENGTH] in self._pieces:
                    yield at, at + MIN_LENGTH


def _occurrences(data: bytes, size: int, wanted: AbstractSet[int]) -> Iterator[Tuple[int, int]]:
    """Where the aligned words of ``size`` bytes are that are ``wanted``, ascending, each with the word."""
    if not wanted:
        return
    words = array({4: "I", 8: "Q"}[size])
    words.frombytes(data[: len(data) // size * size])
    for first in range(0, len(words), _PART):
        part = words[first : first + _PART]
        if wanted.isdisjoint(part):
            continue
        for index, word in enumerate(part):
            if word in wanted:
                yield (first + index) * size, word


def merged(matches: Iterable[Match]) -> List[Match]:
    """Ascending ranges without what overlaps."""
    found: List[Match] = []
    for start, end in sorted(matches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
