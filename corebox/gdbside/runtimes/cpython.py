"""Reads the Python functions that run, out of CPython's own structures.

Each frame leads to its code object, each code object to strings and to a table of lines; all of them are proved by
their types, or not shown. Everything is bounded, for the memory may be an attacker's.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from corebox.gdbside.bounded import CUT
from corebox.gdbside.runtimes.cpythonlayout import Read, layout

#: What is raised of memory that is not there, or makes no sense.
ODD = (LookupError, OverflowError, struct.error, ValueError)
MAX_FRAMES = 1 << 16  # of one thread
_MAX_THREADS = 1024  # of an interpreter; and interpreters
_MAX_NAME_LENGTH, _MAX_PATH_LENGTH = 512, 4096
_MAX_TABLE_SIZE, _MAX_TABLES_SIZE, _MAX_BYTECODE_SIZE = 1 << 18, 1 << 24, 1 << 26
_WORD = 8
_OF_CALL = 3  # a frame's owner: no function, but the mark of a call of the evaluator (FRAME_OWNED_BY_CSTACK)
_COMPACT = 1 << 5  # of a string's state, with its kind in bits 2 to 4 and, if that is 1, whether it is ASCII in bit 6
_ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}
_TYPES = {name: f"Py{name}_Type" for name in ("Code", "Frame", "Unicode", "Bytes")}


class Function(NamedTuple):
    """A Python function that runs; ``line`` is None where the compiler has noted none."""

    name: str
    file: str
    line: int | None


class Thread(NamedTuple):
    """A Python thread in one of the interpreters; ``lwp`` is None before 3.11."""

    address: int
    interpreter: int
    ident: int
    lwp: int | None


class Frame(NamedTuple):
    """A Python frame: its address, its code object, and where in the bytecode it is."""

    address: int
    code: "Code"
    place: int


class Call(NamedTuple):
    """A call of the evaluator with the frames that it runs, the innermost first.

    ``mark`` is the address of something in the native frame of the call; None where there is no such thing.
    """

    mark: int | None
    frames: list[Frame]


class Stack(NamedTuple):
    """The calls of a thread, the innermost first, and whether they are all."""

    calls: list[Call]
    whole: bool


class Code(NamedTuple):
    """A code object; ``start`` is where its bytecode begins, ``size`` how many bytes that has."""

    address: int
    name: str
    file: str
    first_line: int
    start: int
    size: int


class Interpreters:
    """The CPython in a core.

    Args:
        version: its version.
        read: gives memory: address, size; a LookupError if it is not known.
        symbol: gives the address of a variable of the program; a LookupError if there is none.

    Raises:
        LookupError, OverflowError, struct.error, ValueError: it cannot be read, and why.
    """

    def __init__(self, version: tuple[int, int], read: Read, symbol: Callable[[str], int]) -> None:
        self._read, self._runtime = read, symbol("_PyRuntime")
        self._at = layout(version, read, self._runtime)
        self._types = {name: symbol(exported) for name, exported in _TYPES.items()}
        self._codes: dict[int, Code] = {}
        self._lines: dict[tuple[int, int], int | None] = {}
        self._tables, self._tables_size = dict[int, bytes](), 0

    @property
    def marks(self) -> bool:
        """Whether calls of the evaluator leave a mark on the stack, as since 3.10."""
        return self._at.calls is not None or self._at.owner is not None

    def threads(self) -> list[Thread]:
        """All threads of all interpreters, as far as they can be read."""
        found = list[Thread]()
        try:
            for interpreter in self._interpreters():
                found.extend(self._threads_of(interpreter))
        except ODD:
            pass
        return found

    def _interpreters(self) -> Iterator[int]:
        yield from self._linked(self._word(self._runtime + self._at.first_interpreter), self._at.next_interpreter)

    def _threads_of(self, interpreter: int) -> Iterator[Thread]:
        at = self._at
        number = self._word(interpreter + at.interpreter_number)
        for state in self._linked(self._word(interpreter + at.first_thread), at.next_thread):
            if self._word(state + at.interpreter) != interpreter:
                return
            lwp = None if at.lwp is None else self._word(state + at.lwp)
            yield Thread(state, number, self._word(state + at.ident), lwp)

    def _linked(self, first: int, following: int, most: int = _MAX_THREADS) -> Iterator[int]:
        seen, address = set[int](), first
        while address and address not in seen and len(seen) < most:
            seen.add(address)
            yield address
            address = self._word(address + following)

    def holders(self) -> set[int]:
        """The threads' addresses that hold the global lock of an interpreter."""
        found = set[int]()
        for interpreter in self._interpreters():
            if self._at.gil is not None:  # struct _gil_runtime_state begins with its interval
                lock = self._word(interpreter + self._at.gil) + _WORD
            elif self._at.gil_holder is not None:
                lock = self._runtime + self._at.gil_holder
            else:
                return found
            holder, locked = struct.unpack("<Qi", self._read(lock, 12))
            if locked == 1 and holder in {each.address for each in self._threads_of(interpreter)}:
                found.add(holder)
        return found

    def stack(self, thread: Thread) -> Stack:
        """What a thread runs, as far as it is proved."""
        calls = list[Call]()
        try:
            whole = self._calls(self._innermost(thread.address), calls)
        except ODD:
            return Stack([], False)
        if self._at.calls is not None:
            calls = list(self._marked(thread.address, calls))
        return Stack(calls, whole)

    def _marked(self, state: int, calls: list[Call]) -> Iterator[Call]:
        """The calls with their marks. Behind the outermost is one of the thread's own, that 3.10 does not end."""
        marks, damaged = self._marks(state), False
        for call in calls:
            try:
                mark, frame = (None, None) if damaged else next(marks, (None, None))
            except ODD:
                mark, frame, damaged = None, None, True
            yield call._replace(mark=mark if frame in (None, call.frames[0].address) else None)

    def _innermost(self, state: int) -> int:
        found = self._word(state + self._at.running)
        return self._word(found + self._at.ran) if self._at.ran is not None and found else found

    def _marks(self, state: int) -> Iterator[tuple[int, int | None]]:
        """What 3.10 and 3.11 have on the stack of each call of the evaluator, with the Python frame if it is told."""
        at = self._at
        if at.calls is None or at.outer_call is None:
            return
        for mark in self._linked(self._word(state + at.calls), at.outer_call, MAX_FRAMES):
            yield mark, None if at.ran is None else self._word(mark + at.ran)

    def _calls(self, innermost: int, calls: list[Call]) -> bool:
        """Add the calls of a thread from this frame on; whether they end as they should."""
        seen, frames, address = set[int](), list[Frame](), innermost
        try:
            while address:
                if address in seen or len(seen) > MAX_FRAMES:
                    return False
                seen.add(address)
                data = self._read(address, self._at.frame_size)
                if self._at.owner is not None and data[self._at.owner] == _OF_CALL:
                    calls.append(Call(address, frames))
                    frames = []
                else:
                    frames.append(self._frame(address, data))
                    if self._ends_call(data):
                        calls.append(Call(None, frames))
                        frames = []
                (address,) = struct.unpack_from("<Q", data, self._at.back)
            return True
        except ODD:
            return False
        finally:
            if frames:
                calls.append(Call(None, frames))

    def _ends_call(self, data: bytes) -> bool:
        """Whether the evaluator was called for this frame: always up to 3.10; 3.11 notes it; later a mark follows."""
        return self._at.owner is None or (self._at.entry is not None and bool(data[self._at.entry]))

    def _frame(self, address: int, data: bytes) -> Frame:
        at = self._at
        if at.owner is None and struct.unpack_from("<Q", data, at.type)[0] != self._types["Frame"]:
            raise ValueError("no frame")
        code = self._code(struct.unpack_from("<Q", data, at.code)[0])
        if at.owner is None:
            place = struct.unpack_from("<i", data, at.place)[0] * (2 if at.calls is not None else 1)
        else:
            place = struct.unpack_from("<Q", data, at.place)[0] - code.start
        if not -2 <= place < code.size:  # before the first instruction it is that of none
            raise ValueError("no such place")
        return Frame(address, code, place)

    def _code(self, address: int) -> Code:
        if address not in self._codes:
            self._prove(address, "Code")
            at = self._at
            if at.owner is None:
                bytecode = self._word(address + at.bytecode)
                start, size = bytecode + at.bytes, self._length(bytecode, "Bytes")
            else:
                start, size = address + at.bytecode, 2 * self._word(address + at.size)
            if not 0 < size <= _MAX_BYTECODE_SIZE:
                raise ValueError("no bytecode")
            name = self._text(self._word(address + at.name), _MAX_NAME_LENGTH)
            file = self._text(self._word(address + at.file), _MAX_PATH_LENGTH)
            (first_line,) = struct.unpack("<i", self._read(address + at.first_line, 4))
            self._codes[address] = Code(address, name, file, first_line, start, size)
        return self._codes[address]

    def function(self, frame: Frame) -> Function:
        """What a frame runs."""
        key = frame.code.address, frame.place
        if key not in self._lines:
            try:
                table = self._table(frame.code.address)
                line = self._at.line(frame.code.first_line, table, frame.place)
            except ODD:
                line = None
            self._lines[key] = line if line is not None and 0 <= line < 1 << 31 else None
        return Function(frame.code.name, frame.code.file, self._lines[key])

    def _table(self, code: int) -> bytes:
        if code not in self._tables:
            table = self._word(code + self._at.table)
            size = self._length(table, "Bytes")
            self._tables_size += size
            if size > _MAX_TABLE_SIZE or self._tables_size > _MAX_TABLES_SIZE:
                raise ValueError("too many lines")
            self._tables[code] = self._read(table + self._at.bytes, size) if size else b""
        return self._tables[code]

    def _text(self, address: int, longest: int) -> str:
        """A string; one that is longer is cut, and ends so."""
        length, state = self._length(address, "Unicode"), self._word(address + self._at.kind)
        encoding = _ENCODINGS.get(kind := state >> 2 & 7)
        if encoding is None or not state & _COMPACT:
            raise ValueError("no string")
        start = self._at.text if state & 2 * _COMPACT else self._at.text_wide
        size = kind * min(length, longest)
        data = self._read(address + start, size) if size else b""
        return data.decode(encoding, "replace") + (CUT if length > longest else "")

    def _length(self, address: int, kind: str) -> int:
        """Of an object of this type."""
        self._prove(address, kind)
        return self._word(address + self._at.size)

    def _prove(self, address: int, kind: str) -> None:
        if address % _WORD or self._word(address + self._at.type) != self._types[kind]:
            raise ValueError(f"no {kind}")

    def _word(self, address: int) -> int:
        return int.from_bytes(self._read(address, _WORD), "little")
