"""Blank the environment, and whatever bytes a site names, in a core on its way out.

The environment is read where the kernel put it, on the initial stack next to the auxiliary vector (fs/binfmt_elf.c,
``create_elf_tables``), and where libc's ``environ`` leads; copies, as in an interpreter's own table, are found by
content. The core stays valid: headers are never touched, and a value that is also part of a known path is blanked
only behind its name.
"""

import re
import struct
from bisect import bisect_right
from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence, Set, Tuple

from corebox.coredump import faults
from corebox.coredump.core import CoreFile
from corebox.coredump.disk import read_at
from corebox.coredump.header import PF_W
from corebox.coredump.linkmap import AT_RANDOM
from corebox.coredump.memory import read_pointers
from corebox.coredump.slim import module_ranges
from corebox.coredump.values import Extent

BLANK = b"*"
# A shorter value would be found in places that have nothing to do with it.
SHORTEST_VALUE = 8
SHORTEST_PATTERN = 4
LONGEST_STRING = 1 << 17  # MAX_ARG_STRLEN, execve(2)
MOST_VARIABLES = 1 << 16
MOST_DATA = 64 << 20
CHUNK = 4 << 20
_VARIABLE = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*=")


class RedactionPlan(NamedTuple):
    """File ranges to blank, ascending.

    ``variables`` is how many environment strings were found (0: the core does not have them), ``occurrences`` how
    often they and the patterns are in the core.
    """

    ranges: Tuple[Extent, ...]
    variables: int
    occurrences: int

    def apply(self, offset: int, data: bytes) -> bytes:
        """``data``, which stands at ``offset`` in the core file, with what is to be blanked blanked."""
        index = bisect_right(self.ranges, Extent(offset, 0)) - 1
        changed = None
        for extent in self.ranges[max(0, index) :]:
            if extent.offset >= offset + len(data):
                break
            start, end = max(extent.offset, offset), min(extent.offset + extent.size, offset + len(data))
            if start < end:
                changed = bytearray(data) if changed is None else changed
                changed[start - offset : end - offset] = BLANK * (end - start)
        return data if changed is None else bytes(changed)


class _Needle(NamedTuple):
    """Bytes to find, and which of them to blank."""

    data: bytes
    start: int
    end: int


def plan_redaction(core: CoreFile, environment: bool, patterns: Sequence[bytes] = ()) -> RedactionPlan:
    """Find what to blank: the ``environment``'s values, and each of the ``patterns``.

    Raises:
        UsageError: ``pattern-too-short``.
    """
    for pattern in patterns:
        if len(pattern) < SHORTEST_PATTERN:
            raise faults.pattern_too_short(pattern, SHORTEST_PATTERN)
    variables = set(read_initial_environment(core)) | read_current_environment(core) if environment else set()
    needles = [_Needle(pattern, 0, len(pattern)) for pattern in patterns] + sorted(
        set(_needles(variables, _known_paths(core)))
    )
    found = sorted(_search(core, needles)) if needles else []
    return RedactionPlan(_merge(found), len(variables), len(found))


def read_initial_environment(core: CoreFile) -> List[bytes]:
    """The strings to which the initial stack's environment points; none where the stack is not in the core."""
    stack = core.memory.segment_at(core.auxv.get(AT_RANDOM, 0))
    if stack is None:
        return []
    word = core.header.word_size
    top = stack.address + stack.file_size
    bottom = max(stack.address, top - MOST_DATA)  # the environment is at the top
    memory = core.memory.read_available(bottom, top - bottom)
    pairs = [number for pair in core.auxv.items() for number in pair]
    position = memory.rfind(struct.pack("{}{}{}".format(core.header.order, len(pairs), core.header.word), *pairs))
    position -= 2 * word  # the NULL that ends the environment's pointers is next to the auxiliary vector
    strings: List[bytes] = []
    while position >= 0 and len(strings) < MOST_VARIABLES:
        (pointer,) = struct.unpack_from(core.header.order + core.header.word, memory, position)
        start = pointer - bottom
        if not 0 <= start < len(memory):
            break
        string = memory[start : memory.find(b"\0", start, start + LONGEST_STRING)]
        if _VARIABLE.match(string):  # not overwritten by the program, as setproctitle does
            strings.append(string)
        position -= word
    return strings


def read_current_environment(core: CoreFile) -> Set[bytes]:
    """The strings of ``environ`` as ``setenv`` left it.

    The variable is somewhere in a module's writable data: a word that leads to pointers to strings NAME=VALUE, the
    last followed by NULL.
    """
    strings: Set[bytes] = set()
    known: Dict[int, bool] = {}
    for start, end in module_ranges(core):
        for segment in core.segments:
            if segment.flags & PF_W and start <= segment.address < end:
                stop = min(end, segment.address + min(segment.file_size, MOST_DATA))
                for word in sorted(read_pointers(core.memory, segment.address, stop)):
                    strings.update(_strings_at(core, word, known))
    return strings


def _strings_at(core: CoreFile, address: int, known: Dict[int, bool]) -> List[bytes]:
    """The strings that an array of pointers at ``address`` leads to; none if one of them is no variable.

    ``known`` says of addresses seen before whether they are within such an array, so that no array is read twice.
    """
    strings: List[bytes] = []
    word = core.header.word_size
    start, good = address, False
    while core.memory.segment_at(address + word - 1) is not None and len(strings) < MOST_VARIABLES:
        (pointer,) = struct.unpack(core.header.order + core.header.word, core.memory.read(address, word))
        good = not pointer or known.get(address, False)
        if good or address in known or not _VARIABLE.match(core.memory.read_available(pointer, 64)):
            break
        strings.append(core.memory.read_string(pointer, LONGEST_STRING))
        address += word
    known.update((at, good) for at in range(start, address + word, word))
    return strings if good else []


def _needles(variables: Iterable[bytes], known: bytes) -> Iterator[_Needle]:
    for variable in variables:
        name, _, value = variable.partition(b"=")
        if len(value) >= SHORTEST_VALUE and value not in known:
            yield _Needle(value, 0, len(value))
        elif value:
            yield _Needle(variable + b"\0", len(name) + 1, len(variable))


def _known_paths(core: CoreFile) -> bytes:
    """The paths that debuggers need, one after the other."""
    paths = [mapping.path for mapping in core.mappings] + [entry.name for entry in core.link_map]
    paths += [name for module in core.modules for name in (module.path, *module.opened_as)]
    return b"\0".join(path.encode("utf-8", "surrogateescape") for path in paths)


def _search(core: CoreFile, needles: Sequence[_Needle]) -> Iterator[Extent]:
    """Where the needles are in the stored bytes behind the program headers."""
    overlap = max(len(needle.data) for needle in needles) - 1
    for extent in core.extents():
        position, end = max(extent.offset, core.table.end), extent.offset + extent.size
        while position < end:
            chunk = read_at(core.fileno(), position, min(CHUNK + overlap, end - position))
            for needle in needles:
                at = chunk.find(needle.data)
                while 0 <= at < CHUNK:
                    yield Extent(position + at + needle.start, needle.end - needle.start)
                    at = chunk.find(needle.data, at + 1)
            position += CHUNK


def _merge(found: Iterable[Extent]) -> Tuple[Extent, ...]:
    merged: List[Extent] = []
    for extent in found:
        last = merged[-1] if merged else None
        if last is not None and extent.offset <= last.offset + last.size:
            merged[-1] = Extent(last.offset, max(last.size, extent.offset + extent.size - last.offset))
        else:
            merged.append(extent)
    return tuple(merged)
