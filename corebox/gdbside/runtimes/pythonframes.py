"""Runs inside gdb: the CPython in the core that is open, and at which native frames its functions are.

CPython's evaluator leaves a mark on the stack of each of its calls since 3.10; the native frame that the mark is in is
that call's. Before, each call runs one Python frame, and keeps its address in a register or on the stack.
"""

import bisect
import itertools
import operator
import re
import time
from typing import NamedTuple

import gdb

from corebox.gdbside import selection
from corebox.gdbside.frames import callers
from corebox.gdbside.memory.process import address_of, has, read
from corebox.gdbside.runtimes import cpython
from corebox.gdbside.runtimes.cpython import ODD, Call, Function, Interpreters

_EVALUATOR = re.compile(r"_?PyEval_EvalFrame(Default|Ex)(\..*)?")
MAX_SHOWN = 512  # of the frames of one call
_MAX_NATIVE, _MAX_WALK_LENGTH, _MAX_NATIVE_SIZE = 1 << 15, 10, 1 << 16  # frames, seconds, bytes of a frame
#: Where the compiler keeps what it needs after a call (System V ABI, AMD64; AAPCS64).
_KEPT = {
    "i386:x86-64": ("rbx", "rbp", "r12", "r13", "r14", "r15"),
    "aarch64": tuple(f"x{number}" for number in range(19, 30)),
}
#: What only a version and later ones have, before 3.11, which says its version.
_NEW = {"PyIter_Send": (3, 10), "PyFrame_GetCode": (3, 9), "PyCode_NewWithPosOnlyArgs": (3, 8), "_PyRuntime": (3, 7)}


class Place(NamedTuple):
    """Where in memory a native frame is."""

    start: int
    end: int


class Thread(NamedTuple):
    """What a thread of gdb's runs.

    Attributes:
        calls: of the evaluator, the innermost first.
        whole: whether they are all.
        marks: what calls have on the stack, in order, with the call.
        by_start: the calls by the native frame's stack pointer, where they leave no marks.
        holds_lock: it holds the global lock of an interpreter.
    """

    calls: list[Call]
    whole: bool
    marks: list[tuple[int, Call]]
    by_start: dict[int, Call]
    holds_lock: bool


class Python:
    """What was found out about Python in the core that is open; ``why_not`` is why nothing can be read."""

    def __init__(self) -> None:
        self._opened = False
        self.why_not: str | None = None
        self._interpreters: Interpreters | None = None
        self._states: list[cpython.Thread] = []
        self._holders: set[int] = set()
        self._threads: dict[int, Thread] = {}

    def forget(self, _event: object = None) -> None:
        """Another core is open."""
        self.__init__()  # type: ignore[misc]

    def interpreters(self) -> Interpreters | None:
        """Those of the core, if there are some that can be read."""
        if not self._opened:
            self._opened = True
            found = version()
            try:
                if found:
                    self._interpreters = Interpreters(found, read, address_of)
                    self._states = self._interpreters.threads()
                    self._holders = self._interpreters.holders()
            except ODD as error:
                self.why_not = str(error)
        return self._interpreters

    def thread(self) -> Thread | None:
        """What the selected thread runs; None if it is none of Python's."""
        found, selected = self.interpreters(), gdb.selected_thread()
        if found is None or selected is None:
            return None
        if selected.global_num not in self._threads:
            self._threads[selected.global_num] = self._read_thread(found, selected)
        thread = self._threads[selected.global_num]
        return thread if thread.calls or thread.holds_lock else None

    def _read_thread(self, found: Interpreters, selected: "gdb.InferiorThread") -> Thread:
        # In a thread that has entered another interpreter, the main one is the outermost.
        states = sorted(_of_thread(self._states, selected), key=lambda each: -each.interpreter)
        stacks = [found.stack(each) for each in states]
        calls = [call for stack in stacks for call in stack.calls]
        marks = sorted(((call.mark, call) for call in calls if call.mark is not None), key=operator.itemgetter(0))
        by_start = {} if found.marks or not calls else _aligned(calls)
        holds_lock = any(each.address in self._holders for each in states)
        return Thread(calls, all(each.whole for each in stacks), marks, by_start, holds_lock)

    def functions(self, frame: "gdb.Frame") -> list[Function]:
        """The Python functions that a native frame runs, the innermost first; none if it is not proved to run any."""
        if not is_evaluator(frame):
            return []
        found, thread = self.interpreters(), self.thread()
        call = _call_of(frame, thread) if thread else None
        return [found.function(each) for each in call.frames[:MAX_SHOWN]] if found and call else []


def _call_of(frame: "gdb.Frame", thread: Thread) -> Call | None:
    place = _place(frame)
    if place is None:
        return None
    if thread.by_start:
        return thread.by_start.get(place.start)
    first = bisect.bisect_left(thread.marks, place.start, key=operator.itemgetter(0))
    inside = list(itertools.takewhile(lambda each: each[0] < place.end, thread.marks[first : first + 2]))
    return inside[0][1] if len(inside) == 1 else None


python = Python()


def is_evaluator(frame: "gdb.Frame") -> bool:
    """Whether a native frame is a call of CPython's evaluator; ".cold" and the like are the compiler's."""
    return frame.type() == gdb.NORMAL_FRAME and bool(_EVALUATOR.fullmatch(frame.name() or ""))


def version() -> tuple[int, int] | None:
    """That of the CPython in the core, by what it exports; None if there is none from 3.7 on."""
    try:
        told = int.from_bytes(read(address_of("Py_Version"), 4), "little")
        return told >> 24, told >> 16 & 255
    except LookupError:
        return next((found for name, found in _NEW.items() if has(name)), None)


def _of_thread(states: list[cpython.Thread], selected: "gdb.InferiorThread") -> list[cpython.Thread]:
    """The states of a thread in the interpreters: glibc's number of a thread is where x86's FS register leads to."""
    try:
        ident = int(gdb.newest_frame().read_register("fs_base")) & (1 << 64) - 1
        return [each for each in states if each.ident == ident]
    except (gdb.error, ValueError):
        return [each for each in states if each.lwp == selected.ptid[1]]


def _place(frame: "gdb.Frame") -> Place | None:
    """Where a native frame is: up to its caller's stack pointer."""
    outer = frame.older()
    while outer is not None and outer.type() == gdb.INLINE_FRAME:
        outer = outer.older()
    if outer is None:
        return None
    try:
        start, end = (int(each.read_register("sp")) & (1 << 64) - 1 for each in (frame, outer))
    except (gdb.error, ValueError):
        return None
    return Place(start, end) if start < end <= start + _MAX_NATIVE_SIZE else None


def _aligned(calls: list[Call]) -> dict[int, Call]:
    """The calls by the native frame's stack pointer, where each call runs one Python frame.

    Both sequences have to agree: each native frame has to know its Python frame. The innermost may not have come to it.
    """
    walk, latest, found = callers.Callers(), time.monotonic() + _MAX_WALK_LENGTH, list["gdb.Frame"]()
    for frame, _unwind in itertools.islice(walk, _MAX_NATIVE):
        if is_evaluator(frame):
            found.append(frame)
        if time.monotonic() > latest:
            break
    if walk.complete:
        if len(found) - len(calls) not in (0, 1):
            return {}
        found = found[len(found) - len(calls) :]
    aligned = dict[int, Call]()
    for frame, call in zip(found, calls, strict=False):
        place = _place(frame)
        if place is None or not _knows(frame, place, call.frames[0].address):
            return {} if walk.complete else aligned
        aligned[place.start] = call
    return aligned


def _knows(frame: "gdb.Frame", place: Place, address: int) -> bool:
    """Whether a native frame keeps this address."""
    try:
        for name in _KEPT.get(frame.architecture().name(), ()):
            if int(frame.read_register(name)) & (1 << 64) - 1 == address:
                return True
        return address.to_bytes(8, "little") in read(place.start, place.end - place.start)
    except (gdb.error, LookupError, ValueError):
        return False


class Running(NamedTuple):
    """A thread's functions, each with whether the evaluator was called for it; ``whole`` if none are lost."""

    lwp: int
    functions: list[tuple[Function, bool]]
    omitted: int
    whole: bool
    holds_lock: bool


def stacks() -> list[Running]:
    """What each thread runs."""
    found, told = python.interpreters(), list[Running]()
    if found is None:
        return []
    with selection.kept():
        for selected in gdb.selected_inferior().threads():
            selected.switch()
            thread = python.thread()
            if thread is None:
                continue
            frames = [(each, each is call.frames[-1]) for call in thread.calls for each in call.frames]
            shown = [(found.function(each), entry) for each, entry in frames[:MAX_SHOWN]]
            told.append(Running(selected.ptid[1], shown, len(frames) - len(shown), thread.whole, thread.holds_lock))
    return told
