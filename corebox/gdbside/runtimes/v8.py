"""Reads the function of a JavaScript frame out of V8's heap, by what V8 tells debuggers about itself.

V8 exports offsets and types as ``v8dbg_...``, stripped or not (its tools/gen-postmortem-metadata.py). What they do not
tell is found by its type and taken only if it makes sense: a wrong name or line is worse than none. Everything is
bounded, for the heap may be an attacker's.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from corebox.coredump.v8names import NAMES, RESOURCE

#: Bytes of memory; raises one of ``UNREADABLE`` if they are not known.
Read = Callable[[int, int], bytes]
#: The value of a constant, ``v8dbg_`` left out; None if the program does not have it.
Constant = Callable[[str], int | None]

UNREADABLE = (LookupError, OSError, OverflowError, RuntimeError, ValueError)
ANONYMOUS = "(anonymous)"
_WORD = 8
MAX_NAME_LENGTH, MAX_PATH_LENGTH = 256, 4096  # characters
MAX_SOURCE_SIZE = 16 << 20  # bytes of a script that are looked through for ends of lines
MAX_TABLE_SIZE, MAX_BYTECODE_SIZE = 1 << 20, 1 << 24
_MAX_NESTING = 16  # of strings that are made of strings
_MAX_NAMES = 4  # words behind those that may have the function's name
_MAX_SCOPE_NAMES = 75  # as many local names are in a ScopeInfo itself (kScopeInfoMaxInlinedLocalNamesSize)


class Function(NamedTuple):
    """What a frame runs; ``file`` is the script's name, ``line`` counted from 1, both None where V8 does not say."""

    name: str
    file: str | None
    line: int | None


class Heap:
    """V8's heap in a core.

    Raises:
        LookupError: the program is no V8 that can be read, and why.
    """

    def __init__(self, read: Read, constant: Constant) -> None:
        if constant("TaggedSize") != _WORD:
            raise LookupError("V8 with compressed pointers is not supported")
        self._read = read
        self._is: dict[str, int] = {}
        for key, names in NAMES.items():
            value = next((found for name in names if (found := constant(name)) is not None), None)
            if value is None:
                raise LookupError(f"this version of V8 does not tell {names[0]}")
            self._is[key] = value
        self._external, self._resource = constant("ExternalStringTag"), constant(RESOURCE)

    def function(self, frame_pointer: int) -> Function | None:
        """The function of the frame with this frame pointer; None if it is none of JavaScript's."""
        try:
            shared = self._field(self._word(frame_pointer + self._is["function_slot"]), "shared")
            # V8's own frames, for example between C++ and JavaScript, have a number where a function's has its context.
            typed = _is_small(self._word(frame_pointer + self._is["kind_slot"]))
            if typed or self._type(shared) != self._is["is_shared"]:
                return None
            script = self._field(shared, "script")
        except UNREADABLE:
            return None
        name, (file, line) = self._name(shared), self._place(script, frame_pointer)
        if not name and file is None:  # V8's own, as what goes on after an await: its symbol says more
            return None
        return Function(name or ANONYMOUS, file, line)

    def _place(self, script: int, frame_pointer: int) -> tuple[str | None, int | None]:
        try:
            if self._type(script) != self._is["is_script"]:
                return None, None
            file = self._string(self._field(script, "script_name"), MAX_PATH_LENGTH)
        except UNREADABLE:
            return None, None
        try:
            return file, self._line(script, frame_pointer)
        except UNREADABLE:
            return file, None

    def _name(self, shared: int) -> str | None:
        """Of a SharedFunctionInfo: a string, or in what it knows of its scope."""
        try:
            found = self._field(shared, "name")
            if self._type(found) != self._is["is_scope"]:
                return self._string(found, MAX_NAME_LENGTH)
            return self._name_in_scope(found)
        except UNREADABLE:
            return None

    def _name_in_scope(self, scope: int) -> str | None:
        """The function's own name, or the one that V8 inferred, behind the names of its local variables.

        A ScopeInfo is flags, the number of parameters, the number of locals and the function's place, all small
        integers, then the locals' names and as many small integers about them, then the function's name (V8's
        src/objects/scope-info.tq).
        """
        at = scope - 1 + _WORD
        locals_count = self._word(at + 2 * _WORD) >> 32
        at += 3 * _WORD
        while _is_small(self._word(at)) and at < scope + 8 * _WORD:
            at += _WORD
        if not 0 <= locals_count < _MAX_SCOPE_NAMES:
            return None
        if any(_is_small(self._word(at + each * _WORD)) for each in range(locals_count)):
            return None
        at += locals_count * _WORD
        if not all(_is_small(self._word(at + each * _WORD)) for each in range(locals_count)):
            return None
        at += locals_count * _WORD
        words = (self._word(at + index * _WORD) for index in range(_MAX_NAMES))
        # The name is empty where V8 inferred one, behind it.
        return next((name for word in words if not _is_small(word) and (name := self._named(word))), None)

    def _named(self, word: int) -> str | None:
        try:
            return self._string(word, MAX_NAME_LENGTH)
        except UNREADABLE:
            return None

    def _line(self, script: int, frame_pointer: int) -> int | None:
        """The line that the interpreter is at; compiled code does not keep it in the frame."""
        array, offset = (self._word(frame_pointer + self._is[slot]) for slot in ("array_slot", "offset_slot"))
        if not _is_small(offset) or self._type(array) != self._is["is_bytecode"]:
            return None
        header = self._is["bytecodes"]
        position = self._position(array, (offset >> 32) - header + 1)
        if position is None:
            return None
        before = self._string(self._field(script, "script_source"), MAX_SOURCE_SIZE, position)
        return None if before is None or len(before) < position else before.count("\n") + 1

    def _position(self, array: int, offset: int) -> int | None:
        """The place in the script of the instruction at ``offset``, by the one table that makes sense."""
        found = set()
        for at in range(array - 1 + _WORD, array - 1 + self._is["bytecodes"], _WORD):
            word = self._word(at)
            if _is_small(word) or self._type(word) != self._is["is_bytes"]:
                continue
            size = self._word(word - 1 + _WORD) >> 32
            if 0 < size <= MAX_TABLE_SIZE:
                found.add(position_at(self._read(word - 1 + 2 * _WORD, size), offset))
        found.discard(None)
        return found.pop() if len(found) == 1 else None

    def _string(self, text: int, most: int, end: int | None = None, nesting: int = 0) -> str | None:
        """A string of at most ``most`` characters, or its beginning up to ``end``; None for another object."""
        kind = self._type(text)
        if kind >= self._is["no_string"] or nesting > _MAX_NESTING:
            return None
        length = int.from_bytes(self._read(text - 1 + self._is["length"], 4), "little")
        wanted = length if end is None else min(length, end)
        if wanted > most:
            return None
        shape, one_byte = kind & self._is["kind_mask"], kind & self._is["encoding_mask"] == self._is["is_one_byte"]
        if shape == self._is["sequential"]:
            at = text - 1 + self._is["one_byte" if one_byte else "two_byte"]
            data = self._read(at, wanted if one_byte else 2 * wanted) if wanted else b""
            return data.decode("latin-1") if one_byte else data.decode("utf-16-le", "replace")
        if shape == self._is["thin"]:
            return self._string(self._field(text, "actual"), most, end, nesting + 1)
        if shape == self._is["sliced"]:
            start = self._field(text, "start") >> 32
            whole = self._string(self._field(text, "parent"), most, start + wanted, nesting + 1)
            return None if whole is None or start < 0 else whole[start:]
        if shape == self._is["cons"]:
            return self._joined(text, most, wanted, nesting)
        if shape == self._external and self._resource is not None:
            return self._outside(self._word(text - 1 + self._resource + _WORD), wanted, one_byte)
        return None

    def _outside(self, address: int, count: int, one_byte: bool) -> str | None:
        """The text of a string whose characters are outside the heap, as the sources of node's own modules."""
        data = self._read(address, count if one_byte else 2 * count) if count else b""
        text = data.decode("latin-1") if one_byte else data.decode("utf-16-le", "replace")
        return None if "\0" in text else text

    def _joined(self, text: int, most: int, wanted: int, nesting: int) -> str | None:
        first = self._string(self._field(text, "first"), most, wanted, nesting + 1)
        if first is None or len(first) >= wanted:
            return first
        second = self._string(self._field(text, "second"), most, wanted - len(first), nesting + 1)
        return None if second is None else first + second

    def _type(self, thing: int) -> int:
        """The instance type of an object's map; raises ValueError for a small integer."""
        if _is_small(thing):
            raise ValueError("not an object")
        map_ = self._word(thing - 1)
        return int.from_bytes(self._read(map_ - 1 + self._is["instance_type"], 2), "little")

    def _field(self, thing: int, name: str) -> int:
        if _is_small(thing):
            raise ValueError("not an object")
        return self._word(thing - 1 + self._is[name])

    def _word(self, address: int) -> int:
        return int.from_bytes(self._read(address, _WORD), "little")


def _is_small(word: int) -> bool:
    """Whether a tagged word is a small integer, in its upper half; of an object's address the lowest bit is set."""
    return word & 1 == 0


def position_at(table: bytes, offset: int) -> int | None:
    """The place in the script, in characters, of the instruction at ``offset``; None if the table makes no sense.

    Each entry is the difference to the one before, of instruction and place, both of variable length (V8's
    src/codegen/source-position-table.cc).
    """
    code, value, found = -1, 0, None  # the entry of a function is before its first instruction
    try:
        for more, further in _pairs(table):
            code += more if more >= 0 else -(more + 1)
            value += further
            position = (value >> 1 & (1 << 30) - 1) - 1
            if position < 0 or value & 1 or code > MAX_BYTECODE_SIZE:
                return None
            if code <= offset:
                found = position
    except ValueError:
        return None
    return found


def _pairs(table: bytes) -> Iterator[tuple[int, int]]:
    numbers = _numbers(table)
    for first in numbers:
        second = next(numbers, None)
        if second is None:
            raise ValueError("half an entry")
        yield first, second


def _numbers(table: bytes) -> Iterator[int]:
    """Seven bits a byte, the lowest first, the sign as the lowest bit."""
    value, shift = 0, 0
    for byte in table:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield value >> 1 ^ -(value & 1)
            value, shift = 0, 0
        elif shift > 63:
            raise ValueError("a number too long")
    if shift:
        raise ValueError("a number without an end")
