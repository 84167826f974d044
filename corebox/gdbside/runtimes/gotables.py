"""Reads the tables that every Go program has of its code, stripped or not: functions, files, lines, sizes of frames.

Go's src/runtime/symtab.go (pcHeader, moduledata, pcvalue) and symtabinl.go (inlinedCall) describe them. They are read
through a function, for most of them are in the file only, not in the core. All is bounded.
"""

import bisect
import functools
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

#: Bytes of memory; raises LookupError if they are not known.
Read = Callable[[int, int], bytes]

MAGIC_118, MAGIC_120 = 0xFFFFFFF0, 0xFFFFFFF1
_VERSION = re.compile(rb"go1\.\d{1,3}(?:[.a-z\d]{0,12})\b")
_BUILD_INFO, _IN_PLACE, _MAX_VERSION_LENGTH = b"\xff Go buildinf:", 2, 64
_HEADER, _HEADER_SIZE = "<IxxBBQQQQQQQQ", 72
_MAX_FUNCTIONS, _MAX_NAME_LENGTH, _MAX_TABLE_SIZE, _MAX_INLINED = 1 << 21, 1024, 1 << 16, 64
_PIECE, _MAX_VALUES = 1024, 1 << 21  # bytes; values of all tables together
_FUNCTION, _FUNCTION_SIZE = "<IiiIIIIII", 36
_INLINE_INDEX, _INLINE_TREE = 2, 3  # PCDATA_InlTreeIndex, FUNCDATA_InlTree (internal/abi/funcdata.go)
_NONE = 0xFFFFFFFF
_TOP_FRAME, _WRITES_STACK_POINTER = 1, 2  # internal/abi/symtab.go: FuncFlag


class Place(NamedTuple):
    """A function, and where in its source."""

    function: str
    file: str | None
    line: int | None


class Function(NamedTuple):
    """What the tables have of a function; offsets as they have them."""

    entry: int
    name: str
    at: int
    stack: int
    files: int
    lines: int
    data_count: int
    unit: int
    top: bool
    switches: bool


def version(information: bytes, read: Read) -> str | None:
    """The version in what the linker wrote of the build (debug/buildinfo): in place, before Go 1.18 by a pointer."""
    at = information.find(_BUILD_INFO)
    if at < 0 or len(information) < at + 33:
        return None
    text = information[at:]
    if text[15] & _IN_PLACE:
        text = text[33 : 33 + text[32]]
    else:
        try:
            address, size = struct.unpack("<2Q", read(int.from_bytes(text[16:24], "little"), 16))
            text = read(address, min(size, _MAX_VERSION_LENGTH))
        except (LookupError, OverflowError):
            return None
    found = _VERSION.search(text)
    return found[0].decode() if found else None


class Tables:
    """The tables that begin at ``address``.

    Args:
        address: of the header, pcHeader.
        read: memory.
        text: where the code begins; since Go 1.26 the header does not say.
        inlined: where the tables of inlined calls are (moduledata.gofunc); None if that is not known.

    Raises:
        LookupError: it is no such table, or of another version.
    """

    def __init__(self, address: int, read: Read, text: int, inlined: int | None) -> None:
        header = struct.unpack(_HEADER, read(address, _HEADER_SIZE))
        magic, self._step, word, count = header[:4]
        if magic not in (MAGIC_118, MAGIC_120) or word != 8 or not 0 < count <= _MAX_FUNCTIONS:
            raise LookupError("Go's tables of functions are of a version that is not supported")
        self._read, self.text, self._inlined, self._old = read, text, inlined, magic == MAGIC_118
        names, units, files, values, functions = (address + each for each in header[6:])
        self._names, self._units, self._files, self._values, self._functions = names, units, files, values, functions
        data = read(functions, 8 * count + 4)
        self._index = struct.unpack(f"<{2 * count + 1}I", data)
        self._entries = self._index[::2]
        self._left = _MAX_VALUES
        self._value_tables: dict[tuple[int, int], tuple[list[int], list[int]]] = {}

    def function(self, pc: int) -> Function | None:
        """The function that has the code at ``pc``, or None."""
        offset = pc - self.text
        index = bisect.bisect_right(self._entries, offset) - 1
        if not 0 <= index < len(self._entries) - 1:
            return None
        return self._function(index)

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - one object for each core
    def _function(self, index: int) -> Function | None:
        at = self._functions + self._index[2 * index + 1]
        entry, name, _, _, stack, files, lines, count, unit = struct.unpack(_FUNCTION, self._read(at, _FUNCTION_SIZE))
        size = _FUNCTION_SIZE + (0 if self._old else 4)
        flags = self._read(at + size, 4)
        return Function(
            self.text + entry, self._string(self._names + name), at + size + 4, stack, files, lines,
            min(count, 16), unit, bool(flags[1] & _TOP_FRAME), bool(flags[1] & _WRITES_STACK_POINTER),
        )  # fmt: skip

    def frame_size(self, function: Function, pc: int) -> int | None:
        """How far the stack pointer is below the return address at ``pc``."""
        found = self._value(function.stack, function.entry, pc)
        return found if found is not None and 0 <= found < 1 << 30 else None

    def places(self, pc: int) -> Iterator[Place]:
        """The function at ``pc``; before it those whose code is inlined there, the innermost first."""
        function = self.function(pc)
        for _ in range(_MAX_INLINED):
            if function is None:
                return
            file, line = self._file(function, pc), self._value(function.lines, function.entry, pc)
            called = self._inlined_call(function, pc)
            yield Place(called[0] if called else function.name, file, line)
            if called is None:
                return
            pc = function.entry + called[1]

    def _file(self, function: Function, pc: int) -> str | None:
        number = self._value(function.files, function.entry, pc)
        if number is None or number < 0:
            return None
        offset = int.from_bytes(self._read(self._units + 4 * (function.unit + number), 4), "little")
        return None if offset == _NONE else self._string(self._files + offset)

    def _inlined_call(self, function: Function, pc: int) -> tuple[str, int] | None:
        """The name of the inlined function that has the code at ``pc``, and the offset of the code that called it."""
        if self._inlined is None or function.data_count <= _INLINE_INDEX:
            return None
        table = self._number(function.at + 4 * _INLINE_INDEX)
        index = self._value(table, function.entry, pc) if table else None
        tree = self._number(function.at + 4 * (function.data_count + _INLINE_TREE))
        if index is None or index < 0 or tree == _NONE:
            return None
        size, name_at, caller_at = (20, 12, 16) if self._old else (16, 4, 8)
        data = self._read(self._inlined + tree + size * index, size)
        name, caller = (struct.unpack_from("<i", data, at)[0] for at in (name_at, caller_at))
        return self._string(self._names + name), caller

    def _number(self, address: int) -> int:
        return int.from_bytes(self._read(address, 4), "little")

    def _value(self, table: int, entry: int, pc: int) -> int | None:
        """What a table of values has for ``pc``: pairs of differences, of the value and of the program counter."""
        if not table:
            return None
        key = table, entry
        if key not in self._value_tables:
            if self._left < 0:
                raise LookupError("Go's tables are too large")
            self._value_tables[key] = _decoded(self._pieces(self._values + table), entry, self._step)
            self._left -= len(self._value_tables[key][0])
        ends, values = self._value_tables[key]
        index = bisect.bisect_right(ends, pc)
        return values[index] if index < len(ends) else None

    def _pieces(self, address: int) -> Iterator[int]:
        for at in range(address, address + _MAX_TABLE_SIZE, _PIECE):
            yield from self._piece(at)

    def _piece(self, address: int) -> Iterable[int]:
        try:
            return self._read(address, _PIECE)
        except LookupError:  # near the end of what is mapped
            return (self._read(each, 1)[0] for each in range(address, address + _PIECE))

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - one object for each core
    def _string(self, address: int) -> str:
        data = bytearray()
        for byte in self._pieces(address):
            if not byte or len(data) >= _MAX_NAME_LENGTH:
                break
            data.append(byte)
        return data.decode("utf-8", "replace")


def _decoded(data: Iterator[int], entry: int, step: int) -> tuple[list[int], list[int]]:
    """Where each value ends, and the values."""
    ends, values = list[int](), list[int]()
    value, pc = -1, entry
    while True:
        try:
            difference = _varint(data)
            if difference == 0 and ends:
                return ends, values
            length = _varint(data)
        except (StopIteration, LookupError):
            return ends, values
        value += -((difference + 1) >> 1) if difference & 1 else difference >> 1
        pc += length * step
        ends.append(pc)
        values.append(value)


def _varint(data: Iterator[int]) -> int:
    value = shift = 0
    while shift < 35:
        byte = next(data)
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value
        shift += 7
    raise LookupError("not a number of Go's tables")
