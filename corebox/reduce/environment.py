"""The environment of a crashed process: where its strings are in memory, and what they say.

The kernel puts the strings of arguments and environment one after the other at the top of the initial stack, between
the auxiliary vector and the name of the executable (fs/binfmt_elf.c, ``create_elf_tables``; fs/exec.c). Whatever the
program does later (``unsetenv``, a title written over them), the bytes between are of the environment. ``setenv`` puts
strings into the heap, and ``environ`` leads to them.
"""

import os
import re
import struct
from array import array
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.header import PF_W
from corebox.coredump.linkmap import AT_RANDOM
from corebox.coredump.memory import read_pointers
from corebox.coredump.systems import AT_EXECFN
from corebox.reduce.slim import module_ranges

MAX_STRING_LENGTH = 1 << 17  # MAX_ARG_STRLEN, execve(2)
MAX_NAME_LENGTH = 256
# Arguments and environment together have at most 6 MiB (fs/exec.c, _STK_LIM / 4 * 3).
MAX_STACK = 8 << 20
MAX_DATA = 64 << 20
MAX_POINTERS = 1 << 18
MAX_BYTES = 8 << 20
_BLOCK = 512

# Names that programs use; execve(2) takes any bytes.
_USUAL = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{0,254}=")
_POSSIBLE = re.compile(rb"[^=\0-\x1f\x7f-][^=\0-\x1f\x7f]{0,254}=")

Span = Tuple[int, int]


class Environment(NamedTuple):
    """``strings`` NAME=VALUE as they were found, ``spans``: the address ranges of values, known names or not."""

    strings: Tuple[bytes, ...]
    spans: Tuple[Span, ...]

    @property
    def names(self) -> Tuple[str, ...]:
        """The names of all variables, sorted."""
        return tuple(sorted({os.fsdecode(split_string(string)[0]) for string in self.strings}))


class _Stack(NamedTuple):
    """The initial stack: its bytes from ``bottom`` on, the arguments' strings, then the environment's to ``end``.

    ``pointers`` are those to variables that the kernel put there.
    """

    bottom: int
    data: bytes
    arguments: int
    start: int
    end: int
    pointers: Set[int]


def split_string(string: bytes) -> Tuple[bytes, bytes]:
    """Name and value; a string that has no name is all value."""
    name, equals, value = string.partition(b"=")
    return (name, value) if equals and name else (b"", string)


def read_environment(core: CoreFile) -> Environment:
    """All of the environment that the core has, as it was in the beginning and as it is now."""
    stack = _initial_stack(core)
    strings: Dict[bytes, None] = {}
    spans: List[Span] = []
    if stack is not None:
        for at, string, named in _pieces(stack):
            start = len(split_string(string)[0]) + 1 if named and split_string(string)[0] else 0
            spans.append((at + start, at + len(string)))
            if named:
                strings[string] = None
    left = MAX_BYTES
    for at, string in _current_strings(core, stack):
        left -= len(string)
        if left < 0:
            break
        name = split_string(string)[0]
        spans.append((at + (len(name) + 1 if name else 0), at + len(string)))
        strings[string] = None
    return Environment(tuple(strings), tuple(spans))


def _pieces(stack: _Stack) -> Iterator[Tuple[int, bytes, bool]]:
    """The strings between arguments and executable: address, bytes, and whether they begin with a variable's name.

    A program that writes its title there leaves the ends of values: they have no name, whatever they look like.
    """
    data, bottom = stack.data, stack.bottom
    within = [at for at in stack.pointers if stack.start <= at < stack.end]
    whole = all(data[at - bottom - 1 : at - bottom] == b"\0" for at in within)
    position = stack.start - bottom
    for string in data[position : stack.end - bottom].split(b"\0"):
        if string:
            at = bottom + position
            yield at, string, len(string) < MAX_STRING_LENGTH and (whole or at in stack.pointers)
        position += len(string) + 1


def _initial_stack(core: CoreFile) -> Optional[_Stack]:
    """None where the stack or the auxiliary vector is not in the core."""
    segment = core.memory.segment_at(core.auxv.get(AT_RANDOM) or core.auxv.get(AT_EXECFN) or 0)
    if segment is None:
        return None
    top = segment.address + segment.file_size
    bottom = max(segment.address, top - MAX_STACK)
    data = core.memory.read_available(bottom, top - bottom)
    word = core.header.word_size
    numbers = [number for pair in core.auxv.items() for number in pair]
    at = data.rfind(struct.pack("{}{}{}".format(core.header.order, len(numbers), core.header.word), *numbers))
    if at < word:
        return None
    words = array("Q" if word == 8 else "I")
    first = max(at % word, at - 2 * MAX_POINTERS * word)
    words.frombytes(data[first:at])
    if (core.header.order == "<") != (struct.pack("=H", 1) == b"\1\0"):
        words.byteswap()
    arguments, variables = _split_pointers(words)
    end = core.auxv.get(AT_EXECFN, 0)
    if not bottom <= end <= bottom + len(data):
        end = _end_of(data, bottom, max(variables, default=bottom))
    inside = [pointer for pointer in arguments if bottom <= pointer < end]
    start = _end_of(data, bottom, max(inside)) + 1 if inside else min(variables or [end])
    start = max(bottom, min(start, end))
    return _Stack(bottom, data, min([*inside, start]), start, end, set(variables))


def _end_of(data: bytes, bottom: int, address: int) -> int:
    """The address of the NUL behind a string."""
    at = data.find(b"\0", max(0, address - bottom))
    return bottom + (at if at >= 0 else len(data))


def _split_pointers(words: "array[int]") -> Tuple[List[int], List[int]]:
    """Pointers to arguments and to variables: before the auxiliary vector are argc, argv, NULL, envp, NULL.

    ``unsetenv`` leaves several NULLs, so that only argc, which is as many words before a NULL, tells where argv is.
    """
    null = len(words)
    for index in range(len(words) - 1, -1, -1):
        if not words[index]:
            null = index
        elif words[index] == null - index - 1 and null < len(words):
            return list(words[index + 1 : null]), [word for word in words[null:] if word]
    ends = [index for index in range(len(words) - 1) if not words[index]]
    return [], [word for word in words[ends[-1] if ends else 0 :] if word]


def _current_strings(core: CoreFile, stack: Optional[_Stack]) -> Iterator[Tuple[int, bytes]]:
    """Address and bytes of each string of ``environ``, a word in a module's writable data that leads to an array."""
    ranges = list(module_ranges(core))
    walk = _Walk(core, ranges, stack)
    for start, end in ranges:
        for segment in core.segments:
            if segment.flags & PF_W and start <= segment.address < end:
                stop = min(end, segment.address + min(segment.file_size, MAX_DATA))
                for word in sorted(read_pointers(core.memory, segment.address, stop)):
                    yield from walk.strings_at(word)


class _Walk:
    """Follows arrays of pointers to strings NAME=VALUE; no array is read twice, and not more than so many pointers."""

    def __init__(self, core: CoreFile, modules: List[Span], stack: Optional[_Stack]) -> None:
        self._memory = core.memory
        self._entry = struct.Struct(core.header.order + core.header.word)
        self._modules = modules
        self._variables = stack.pointers if stack else set()
        self._strings = (stack.arguments, stack.end) if stack else (0, 0)
        self._known: Dict[int, bool] = {}
        self._left = MAX_POINTERS

    def strings_at(self, address: int) -> Iterator[Tuple[int, bytes]]:
        """The strings of the array at ``address``; none if it is not an environment."""
        size = self._entry.size
        if address % size or address in self._known or self._left <= 0:
            return
        pointers, end, good = self._read_array(address)
        self._known.update((at, good) for at in range(address, end + size, size))
        if good:
            for pointer in pointers:
                if not self._strings[0] <= pointer < self._strings[1]:  # all of those are known already
                    yield pointer, self._memory.read_string(pointer, MAX_STRING_LENGTH)

    def _read_array(self, address: int) -> Tuple[List[int], int, bool]:
        """Pointers, address of the last word that was looked at, and whether all lead to variables."""
        pointers: List[int] = []
        size = self._entry.size
        static = any(start <= address < end for start, end in self._modules)
        usual, initial = True, False
        while self._left > 0:
            block = self._memory.read_available(address, _BLOCK)
            for at in range(0, len(block) - size + 1, size):
                (pointer,) = self._entry.unpack_from(block, at)
                here = address + at
                self._left -= 1
                if not pointer or self._known.get(here):
                    return pointers, here, bool(pointers) and (initial or usual or not static)
                inside = pointer in self._variables  # whatever the program has written over it since
                string = b"" if here in self._known else self._memory.read_available(pointer, MAX_NAME_LENGTH)
                if not inside and (self._strings[0] <= pointer < self._strings[1] or not _POSSIBLE.match(string)):
                    return pointers, here, False
                usual = usual and _USUAL.match(string) is not None
                initial = initial or inside
                pointers.append(pointer)
            if len(block) < _BLOCK:
                break
            address += len(block) // size * size
        return pointers, address, False
