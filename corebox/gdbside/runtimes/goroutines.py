"""Finds the goroutines of a Go program, running or not, with what they wait for and their stacks.

By Go's src/runtime/runtime2.go (types g, m, gobuf); where a program has no symbols, the list of goroutines is found by
its shape: a slice of pointers to structures that point to themselves (g.sched.g). All is bounded, and proved where it
can be: the heap may be an attacker's.
"""

import bisect
import contextlib
import functools
import itertools
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from corebox.gdbside.runtimes.gotables import Place, Read, Tables

MAX_ROUTINES, MAX_FRAMES, MAX_SECTION_SIZE = 1 << 14, 100, 16 << 20
_MAX_TRIED = 1 << 16
OLDEST, NEWEST = 19, 27  # Go 1.x
_STATES = {1: "runnable", 2: "running", 3: "syscall", 4: "waiting", 8: "copystack", 9: "preempted"}
SYSTEM_CALL, WAITING, DEAD, _PREEMPTED = 3, 4, 6, 9
_SCANNED, _LEAKED = 0x1000, 10  # _Gscan: the collector looks at its stack
_MODULE_SIZE, _SELF = 352, 72
_FIRST_REASON, _MAX_REASONS, _MAX_REASON_LENGTH = b"GC assist marking", 64, 64
# What a signal or the scheduler put on the stack: its caller was interrupted, and need not be at a call.
INJECTED = ("runtime.sigpanic", "runtime.asyncPreempt", "runtime.debugCallV2")
_FAILED = ("runtime.gopanic", "runtime.sigpanic", "runtime.throw", "runtime.fatalthrow", "runtime.fatal")
_WORDS, _PIECE = 304 // 8, 4096  # of a goroutine, to where it was created; bytes of a stack
# g._panic, g.m, g.sched, and where a type has its kind (internal/abi/type.go).
_PANIC, _MACHINE, _SCHEDULED, _KIND, _KIND_MASK, _STRING, MAX_PANIC_LENGTH = 32, 48, 56, 23, 31, 24, 512
UNREADABLE = (LookupError, OverflowError, ValueError, struct.error)


class Layout(NamedTuple):
    """Offsets in the structures of a version."""

    system_call: int
    status: int
    reason: int
    created: int
    inlined: int
    panic: int
    thread: int

    @classmethod
    def of(cls, minor: int) -> "Layout":
        """Of Go 1.``minor``; raises LookupError."""
        if not OLDEST <= minor <= NEWEST:
            raise LookupError(f"goroutines of Go 1.{minor} are not supported (1.{OLDEST} to 1.{NEWEST} are)")
        inlined = 304 if minor < 20 else 320 if minor < 27 else 344
        panic, thread = 8 if minor < 26 else 0, 72 if minor < 25 else 64
        if minor < 23:
            return cls(112, 144, 176, 296 if minor < 21 else 280, inlined, panic, thread)
        if minor < 25:
            return cls(112, 152, 184, 288, inlined, panic, thread)
        return cls(104, 144, 176, 280 if minor == 25 else 288, inlined, panic, thread)


class Routine(NamedTuple):
    """A goroutine; ``frames`` from the innermost, ``thread`` is gdb's number of the one that runs it.

    ``panic`` is what it panicked with, where that is a text.
    """

    number: int
    state: str
    reason: str | None
    frames: tuple[Place, ...]
    created: Place | None
    thread: int | None
    whole: bool
    panic: str | None = None

    @property
    def failed(self) -> bool:
        """Whether it is where Go's runtime ends a program that failed."""
        return self.thread is not None and any(each.function in _FAILED for each in self.frames)

    @property
    def runtime(self) -> bool:
        """Whether it is one of the runtime's own, as the collector's: it began in the runtime."""
        began = self.frames[-2:-1] if self.whole else ()
        return any(each.function.startswith("runtime.") and each.function != "runtime.main" for each in began)


class Module(NamedTuple):
    """What the linker wrote of the program (runtime.moduledata)."""

    tables: Tables
    data: tuple[int, int]
    bss: tuple[int, int]


def module(address: int, header: int, read: Read, layout: Layout) -> Module:
    """The one at ``address`` whose tables begin at ``header``; raises one of ``UNREADABLE``."""
    words = struct.unpack(f"<{_MODULE_SIZE // 8}Q", read(address, _MODULE_SIZE))
    names = int.from_bytes(read(header + 32, 8), "little")
    if words[0] != header or words[1] != header + names:
        raise LookupError("no module data of Go's")
    text, data, edata, bss, ebss = words[22], *words[26:30]
    if not (0 < edata - data <= MAX_SECTION_SIZE and 0 < ebss - bss <= MAX_SECTION_SIZE):
        raise LookupError("sections too large")
    return Module(Tables(header, read, text, words[layout.inlined // 8]), (data, edata), (bss, ebss))


#: A frame that gdb found: program counter, stack pointer, and whether it is exactly where the code was.
Frame = tuple[int, int, bool]


class Thread(NamedTuple):
    """A thread as gdb has it: the kernel's number, and the frames, which are not needed to know what runs where."""

    tid: int
    frames: Sequence[Frame] = ()


class Goroutines:
    """The goroutines of a core.

    Args:
        module_: the program's tables.
        layout: of its version.
        read: memory.
        threads: by gdb's numbers.
        listed: the address of runtime.allgs, None where that is not known.

    Attributes:
        omitted: how many the program has had beyond those that are read; known when they were read.
    """

    def __init__(
        self, module_: Module, layout: Layout, read: Read, threads: Mapping[int, Thread], listed: int | None
    ) -> None:
        self._module, self._layout, self._read, self._listed_at = module_, layout, read, listed
        self._tables, self.omitted = module_.tables, 0
        self._numbers = {each.tid: number for number, each in threads.items()}
        frames = ((number, *frame) for number, each in threads.items() for frame in each.frames)
        self._running = sorted(frames, key=lambda each: each[2])
        self._pointers = [each[2] for each in self._running]

    def all(self) -> list[Routine]:
        """All, those that failed first, those of the runtime itself last."""
        found = [each for address in self._addresses() if (each := self._routine(address))]
        return sorted(found, key=lambda each: (not each.failed, each.thread is None, each.runtime, each.number))

    def threads(self) -> dict[int, int]:
        """The numbers of the threads that run goroutines, and of these."""
        found: dict[int, int] = {}
        for address in self._addresses():
            with contextlib.suppress(*UNREADABLE):
                thread = self._thread(self._words(address + _MACHINE, 1)[0])
                if thread is not None and self._is_routine(address):
                    found[thread] = self._number(address)
        return found

    def _addresses(self) -> Sequence[int]:
        return self._slice(self._listed_at) if self._listed_at else self._find()

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}Q", self._read(address, 8 * count))

    def _slice(self, address: int) -> Sequence[int]:
        start, count, _ = self._words(address, 3)
        self.omitted = max(0, count - MAX_ROUTINES)
        return self._words(start, min(count, MAX_ROUTINES)) if count else ()

    def _find(self) -> Sequence[int]:
        """Of the slices in the program's variables the longest whose pointers are to goroutines, 1 the first."""
        start, end = self._module.bss
        words = struct.unpack(f"<{(end - start) // 8}Q", self._read(start, (end - start) // 8 * 8))
        best: Sequence[int] = ()
        tried = most = 0
        for pointer, count, room in zip(words, words[1:], words[2:], strict=False):
            if not most < count <= room <= 1 << 24 or pointer < 1 << 16 or pointer % 8:
                continue
            tried += 1
            found = self._listed(pointer, min(count, MAX_ROUTINES))
            if found:
                best, most = found, count
            if tried > _MAX_TRIED:
                break
        if not best:
            raise LookupError("the list of goroutines is not found")
        self.omitted = max(0, most - MAX_ROUTINES)
        return best

    def _listed(self, pointer: int, count: int) -> Sequence[int]:
        """So many pointers at ``pointer``, if they are to goroutines."""
        try:
            first = self._words(pointer, 1)[0]
            if not self._is_routine(first) or self._number(first) != 1:
                return ()
            found = self._words(pointer, count)
            return found if all(self._is_routine(each) for each in found[:16]) else ()
        except UNREADABLE:
            return ()

    def _is_routine(self, address: int) -> bool:
        low, high = self._words(address, 2)
        return self._words(address + _SELF, 1)[0] == address and low <= high

    def _number(self, address: int) -> int:
        return self._words(address + self._layout.status + 8, 1)[0]

    def _routine(self, address: int) -> Routine | None:
        try:
            words, layout = self._words(address, _WORDS), self._layout
            low, high, status = words[0], words[1], words[layout.status // 8] & 0xFFFFFFFF & ~_SCANNED
            if words[_SELF // 8] != address or low > high or status in (0, DEAD) or status > _LEAKED:
                return None
            number, created = words[layout.status // 8 + 1], words[layout.created // 8]
            thread, pc, sp, exact = self._begin(words, status)
            frames, whole = self._stack(pc, sp, exact, low, high)
            reason = self._reason(address) if status in (WAITING, _PREEMPTED) else None
            by = next(iter(self._places(created - 1)), None) if created and number != 1 else None
            state = _STATES.get(status, f"state {status}")
            panic = self._panic(address) if thread is not None else None
            return Routine(number, state, reason, frames, by, thread, whole, panic)
        except UNREADABLE:
            return None

    def _begin(self, words: Sequence[int], status: int) -> tuple[int | None, int, int, bool]:
        """The thread that runs a goroutine, where its code is, its stack pointer, and whether the code is at a call."""
        at = self._layout.system_call // 8 if status == SYSTEM_CALL else _SCHEDULED // 8
        sp, pc = words[at : at + 2]
        frame = self._frame(words[0], words[1])
        if frame is None:
            return self._thread(words[_MACHINE // 8]), pc, sp, False
        number, counter, pointer, exact = frame
        return (number, pc, sp, False) if status == SYSTEM_CALL else (number, counter, pointer, exact)

    def _frame(self, low: int, high: int) -> tuple[int, int, int, bool] | None:
        """The innermost frame on this stack, with its thread's number."""
        first = bisect.bisect_right(self._pointers, low)
        inside = itertools.takewhile(lambda each: each[2] <= high, itertools.islice(self._running, first, None))
        return next((each for each in inside if self._tables.function(each[1])), None)

    def _thread(self, machine: int) -> int | None:
        """The number of a thread that the scheduler has here (type m: g0, procid)."""
        if not machine or not self._is_routine(self._words(machine, 1)[0]):
            return None
        return self._numbers.get(self._words(machine + self._layout.thread, 1)[0])

    def _stack(self, pc: int, sp: int, exact: bool, low: int, high: int) -> tuple[tuple[Place, ...], bool]:
        """The frames, by the sizes that the tables have of them; whether they go to where the goroutine began."""
        found = list[Place]()
        stack = _Words(self._read, high)
        while low <= sp < high and len(found) < MAX_FRAMES:
            first = self._tables.function(pc)
            # What did not run yet, or called C code or another stack's, is not behind a call (Go's tracepc).
            exact = exact or (first is not None and first.entry == pc)
            function = first if exact else self._tables.function(pc - 1)
            if function is None:
                break
            found += self._places(pc if exact else pc - 1)
            if function.top:
                return tuple(found), True
            size = self._tables.frame_size(function, pc)
            if size is None:
                break
            sp += size
            pc, sp, exact = stack.word(sp), sp + 8, function.name in INJECTED
        return tuple(found), False

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - one object for each core
    def _places(self, pc: int) -> tuple[Place, ...]:
        return tuple(self._tables.places(pc))

    def _panic(self, address: int) -> str | None:
        """Errors are texts when the runtime has printed them (preprintpanics), before it ends the process."""
        panic = self._words(address + _PANIC, 1)[0]
        if not panic:
            return None
        kind, data = self._words(panic + self._layout.panic, 2)
        try:
            if self._read(kind + _KIND, 1)[0] & _KIND_MASK != _STRING:
                return None
            text, size = self._words(data, 2)
            return self._read(text, min(size, MAX_PANIC_LENGTH)).decode("utf-8", "replace")
        except UNREADABLE:
            return None

    def _reason(self, address: int) -> str | None:
        index = self._read(address + self._layout.reason, 1)[0]
        return self._reasons[index] if 0 < index < len(self._reasons) else None

    @functools.cached_property
    def _reasons(self) -> list[str]:
        """runtime.waitReasonStrings: an empty string, then the first reason that all versions have."""
        start, end = self._module.data
        data, mark, at = self._read(start, end - start), len(_FIRST_REASON).to_bytes(8, "little"), 0
        while (at := data.find(mark, at + 1)) >= 0:
            if at % 8 or at < 24:
                continue
            text = int.from_bytes(data[at - 8 : at], "little")
            try:
                if self._read(text, len(_FIRST_REASON)) == _FIRST_REASON:
                    return list(self._strings(start + at - 24))
            except LookupError:
                continue
        return []

    def _strings(self, address: int) -> Iterator[str]:
        for index in range(_MAX_REASONS):
            text, size = self._words(address + 16 * index, 2)
            if index and not 0 < size <= _MAX_REASON_LENGTH:
                return
            try:
                yield self._read(text, size).decode() if size else ""
            except (LookupError, UnicodeDecodeError):
                return


class _Words:
    """The words of a stack, whose end is at ``end``: many are read at once."""

    def __init__(self, read: Read, end: int) -> None:
        self._read, self._end, self._start, self._data = read, end, 0, b""

    def word(self, address: int) -> int:
        """The one at ``address``; raises LookupError."""
        at = address - self._start
        if not 0 <= at <= len(self._data) - 8:
            self._start, at = address, 0
            try:
                self._data = self._read(address, max(8, min(_PIECE, self._end - address)))
            except LookupError:  # not all of it is in the core
                self._data = self._read(address, 8)
        return int.from_bytes(self._data[at : at + 8], "little")


def grouped(routines: Sequence[Routine]) -> list[list[Routine]]:
    """Those with equal stacks and states together, in the order of the first of each."""
    found: dict[object, list[Routine]] = {}
    for each in routines:
        key = (each.state, each.reason, each.frames, each.created, each.thread, each.whole)
        found.setdefault(key, []).append(each)
    return list(found.values())
