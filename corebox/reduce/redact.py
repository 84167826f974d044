"""Blank the environment, and whatever texts a site names, in a core on its way out.

Values are blanked where the process has them, whatever their length, and wherever else a copy is found by its content:
in an interpreter's own table, in an old stack frame that has only its beginning, in registers, in UTF-16. The core
stays valid: headers are never touched, and the paths of mapped files, which debuggers need, stay.
"""

from array import array
from bisect import bisect_right
from functools import partial
from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from corebox.coredump import faults
from corebox.coredump.core import CoreFile
from corebox.coredump.usage import segment_kinds
from corebox.reduce.environment import Environment, read_environment, split_string
from corebox.reduce.search import HEAD, MIN_LENGTH, Match, Pieces, Search, merged

BLANK = b"*"
MIN_PATTERN_LENGTH = 4
CHUNK = 4 << 20
# Of a text that the kernel cut, as few bytes as these count at the end: a site's own text, and any variable's value.
_CUT_PATTERN, _CUT_VALUE = 1, 4
_CUT_LENGTHS = (15, 79, 80)
# Beyond so many places, those within a page are blanked together with what is between them.
MAX_RANGES, PAGE = 1 << 20, 4096
MAX_KNOWN, MAX_WIDE = 2 << 20, 1 << 20
_WORD = 8


class RedactionPlan(NamedTuple):
    """The file ranges to blank, ascending: ``starts`` and ``ends``; ``names`` are the variables that were found.

    ``blank`` does the same to a text that came from elsewhere.
    """

    starts: "array[int]"
    ends: "array[int]"
    names: Tuple[str, ...]
    blank: Callable[[bytes], bytes]

    @property
    def occurrences(self) -> int:
        """The number of places that are blanked."""
        return len(self.starts)

    def apply(self, offset: int, data: bytes) -> bytes:
        """``data``, which stands at ``offset`` in the core file, with what is to be blanked blanked."""
        index = bisect_right(self.ends, offset)
        if index == len(self.ends) or self.starts[index] >= offset + len(data):
            return data
        changed = bytearray(data)
        while index < len(self.starts) and self.starts[index] < offset + len(data):
            start = max(self.starts[index], offset) - offset
            end = min(self.ends[index], offset + len(data)) - offset
            changed[start:end] = BLANK * (end - start)
            index += 1
        return bytes(changed)


class _Wanted(NamedTuple):
    """What to blank: ``patterns`` of the site, ``values`` of the environment; ``known`` are the paths that stay."""

    patterns: FrozenSet[bytes]
    values: FrozenSet[bytes]
    known: bytes
    search: Search
    pieces: Pieces


def plan_redaction(
    core: CoreFile,
    environment: bool,
    patterns: Sequence[bytes] = (),
    whole: Optional[CoreFile] = None,
    scan: bool = True,
) -> RedactionPlan:
    """Find what to blank: the ``environment``'s values, and each of the ``patterns``.

    ``whole`` is the core that a slim one was made of, which may know more of the environment. Without ``scan`` no
    copies are looked for: the core is not sent.

    Raises:
        UsageError: ``pattern-too-short``.
    """
    for pattern in patterns:
        if len(pattern) < MIN_PATTERN_LENGTH:
            raise faults.pattern_too_short(pattern, MIN_PATTERN_LENGTH)
    found = read_environment(whole or core) if environment else Environment((), ())
    wanted = _wanted(core, found, patterns)
    places = [place for start, end in found.spans for place in core.memory.file_ranges(start, end)]
    places += _cut_texts(core, wanted)
    starts, ends = _ranges(_search(core, wanted) if scan else (), merged(places))
    return RedactionPlan(starts, ends, found.names, partial(_blank_text, wanted))


def _wanted(core: CoreFile, environment: Environment, patterns: Sequence[bytes]) -> _Wanted:
    known = _known_paths(core)
    split = [split_string(string) for string in environment.strings]
    values = frozenset(value for _, value in split if len(value) >= MIN_LENGTH and value not in known)
    # What is too short, or part of a path that stays, is blanked behind its name only.
    wholes = [name + b"=" + value + b"\0" for name, value in split if name and value and value not in values]
    names = {b"\0" + name + b"=" for name, _ in split if name}
    long = [pattern for pattern in patterns if len(pattern) >= MIN_LENGTH]
    texts = [*values, *long]
    search = Search(
        texts,
        [text for text in wholes if len(text) >= HEAD],
        [text for text in names if len(text) >= HEAD],
        list(_wide(texts, core.byte_order)),
    )
    return _Wanted(frozenset(patterns), values, known, search, Pieces(texts, known))


def _wide(texts: Iterable[bytes], byte_order: str) -> Iterator[Tuple[bytes, int]]:
    """The texts as Java, JavaScript, Qt and ``wchar_t`` have them, with the size of the shortest beginning."""
    suffix = "-le" if byte_order == "little" else "-be"
    left = MAX_WIDE
    for text in texts:
        left -= len(text)
        if left < 0:
            return
        try:
            decoded = text.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if len(decoded) >= MIN_LENGTH:
            yield decoded.encode("utf-16" + suffix), 2 * MIN_LENGTH
            yield decoded.encode("utf-32" + suffix), 4 * MIN_LENGTH


def _known_paths(core: CoreFile) -> bytes:
    """The paths that debuggers need, one after the other."""
    paths = [mapping.path for mapping in core.mappings] + [entry.name for entry in core.link_map]
    paths += [name for module in core.modules for name in (module.path, *module.opened_as)]
    return b"\0".join(path.encode("utf-8", "surrogateescape") for path in dict.fromkeys(paths))[:MAX_KNOWN]


def _blank_text(wanted: _Wanted, text: bytes) -> bytes:
    """The text without secrets, and without the beginning of one where the kernel has cut it."""
    found = list(_Judge(wanted).found(text + bytes(_WORD), len(text)))
    found += [match for pattern in wanted.patterns for match in _find(text, pattern)]
    if len(text) in _CUT_LENGTHS:
        left = _cut_end(text, wanted)
        found.append((len(text) - left, len(text)))
    changed = bytearray(text)
    for start, end in found:
        changed[start:end] = BLANK * (min(end, len(text)) - start)
    return bytes(changed)


def _search(core: CoreFile, wanted: _Wanted) -> Iterator[List[Match]]:
    """What is found in the stored bytes behind the program headers, chunk by chunk, in file order."""
    short = [pattern for pattern in wanted.patterns if len(pattern) < MIN_LENGTH]
    near = _threads_memory(core)
    judge = _Judge(wanted)
    for extent in core.extents():
        position, end = max(extent.offset, core.table.end) // _WORD * _WORD, extent.offset + extent.size
        while position < end:
            chunk = core.read_file(position, min(CHUNK + wanted.search.overlap, end - position))
            found = list(judge.found(chunk, CHUNK))
            found += [match for pattern in short for match in _find(chunk, pattern)]
            found += _find_pieces(chunk[:CHUNK], wanted.pieces, near, position)
            yield [(max(start + position, core.table.end), stop + position) for start, stop in found]
            position += CHUNK


def _find(chunk: bytes, pattern: bytes) -> Iterator[Match]:
    at = chunk.find(pattern)
    while 0 <= at < CHUNK:
        yield at, at + len(pattern)
        at = chunk.find(pattern, at + 1)


def _threads_memory(core: CoreFile) -> List[Match]:
    """The file ranges of the threads' registers, in all notes but the one with name and arguments, and stacks."""
    ranges: List[Match] = []
    for notes in core.table.notes:
        start, end = notes.offset, notes.offset + notes.file_size
        for offset, size in core.notes.command:
            if start <= offset < end:
                ranges.append((start, offset))
                start = offset + size
        ranges.append((start, end))
    ranges += [(s.offset, s.offset + s.file_size) for s, kind in segment_kinds(core) if kind == "stack"]
    return merged(each for each in ranges if each[0] < each[1])


def _find_pieces(chunk: bytes, pieces: Pieces, near: Sequence[Match], position: int) -> Iterator[Match]:
    for start, stop in near[max(0, bisect_right(near, (position, 0)) - 1) :]:
        if start >= position + len(chunk):
            break
        last = min(stop - position, len(chunk))
        first = max(start - position, 0) // _WORD * _WORD
        yield from ((first + low, first + high) for low, high in pieces.find(chunk[first : max(first, last)]))


class _Judge:
    """What is to be blanked of what was found, which may be the beginning of a text only; paths of modules stay."""

    def __init__(self, wanted: _Wanted) -> None:
        self._wanted = wanted
        self._whole = wanted.patterns | wanted.values
        self._lengths = sorted({len(text) for text in self._whole if text.startswith(b"/")}, reverse=True)
        self._known: Dict[bytes, bool] = {}

    def found(self, data: bytes, end: int) -> Iterator[Match]:
        """The ranges in ``data`` that begin before ``end``."""
        for (start, stop), is_text in self._wanted.search.find(data, end):
            size = self._size(data[start:stop], data[stop : stop + 1]) if is_text else stop - start
            if size:
                yield start, start + size

    def _size(self, text: bytes, following: bytes) -> int:
        """How much of a text's beginning goes: of what two paths have in common, only what is a text itself."""
        if text in self._whole:
            return len(text)
        goes_on = following.isalnum() or following in (b".", b"-", b"_", b"+")
        is_folder = text.startswith(b"/") and goes_on and len(text.rpartition(b"/")[2]) < MIN_LENGTH
        if is_folder or self._is_known(text):
            return next((size for size in self._lengths if size < len(text) and text[:size] in self._whole), 0)
        return len(text)

    def _is_known(self, text: bytes) -> bool:
        if len(self._known) > MAX_RANGES // 8:
            self._known.clear()
        if text not in self._known:
            self._known[text] = text in self._wanted.known
        return self._known[text]


def _cut_texts(core: CoreFile, wanted: _Wanted) -> Iterator[Match]:
    """What the kernel left of a text at the end of a name of 15 bytes, or of arguments of 80."""
    for offset, size in core.notes.command:
        text = core.read_file(offset, size).split(b"\0", 1)[0]
        left = _cut_end(text, wanted) if len(text) in _CUT_LENGTHS else 0
        if left:
            yield offset + len(text) - left, offset + len(text)


def _cut_end(text: bytes, wanted: _Wanted) -> int:
    """How many bytes at the end are the beginning of something to blank."""
    both = ((wanted.patterns, _CUT_PATTERN), (wanted.values, _CUT_VALUE))
    return max((_end_in_common(text, secret, shortest) for secrets, shortest in both for secret in secrets), default=0)


def _end_in_common(text: bytes, secret: bytes, shortest: int) -> int:
    lengths = range(min(len(secret), len(text)), shortest - 1, -1)
    return next((length for length in lengths if text.endswith(secret[:length])), 0)


def _ranges(found: Iterable[List[Match]], places: List[Match]) -> Tuple["array[int]", "array[int]"]:
    """All together, ascending and without overlaps, as numbers of 8 bytes: there may be millions."""
    starts, ends = array("Q"), array("Q")

    def add(start: int, end: int) -> None:
        gap = PAGE if len(starts) >= MAX_RANGES else 0
        if starts and start <= ends[-1] + gap:
            ends[-1] = max(ends[-1], end)
        elif start < end:
            starts.append(start)
            ends.append(end)

    waiting = iter(places)
    place = next(waiting, None)
    for matches in found:
        for match in merged(matches):
            while place is not None and place <= match:
                add(*place)
                place = next(waiting, None)
            add(*match)
    while place is not None:
        add(*place)
        place = next(waiting, None)
    return starts, ends
