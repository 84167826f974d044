"""Runs inside gdb: the functions of managed languages in the native frames that run them, in every stack it shows."""

from collections.abc import Iterator
from typing import NamedTuple

import gdb
from gdb.FrameDecorator import FrameDecorator

from corebox.gdbside.frames import callers
from corebox.gdbside.frames.evidence import evidence
from corebox.gdbside.memory.process import address_of, has, read
from corebox.gdbside.runtimes import gocore, java, php, v8
from corebox.gdbside.runtimes.pythonframes import python

JAVASCRIPT, JAVA, GO, PHP, PYTHON = "JavaScript", "Java", "Go", "PHP", "Python"
#: The frame pointer's register, by the name of gdb's architecture; V8 and Java's interpreter always have one.
_FRAME_POINTERS = {"i386:x86-64": "rbp", "aarch64": "x29"}
_BUILTIN = "Builtins_"  # V8's interpreter and its functions in machine code, if the program is not stripped


class Managed(NamedTuple):
    """A function of ``language``, which a native frame runs; file and line are None where the runtime does not say.

    ``outer`` are the functions that it was inlined into, or whose call the same native frame runs, from the inside out.
    """

    language: str
    function: str
    file: str | None
    line: int | None
    outer: "tuple[Managed, ...]" = ()


class _Runtimes:
    """What was found out about the core that is open."""

    def __init__(self) -> None:
        self._opened = False
        self._heap: v8.Heap | None = None
        self._methods: java.Methods | None = None
        self._php = False

    def forget(self, _event: object = None) -> None:
        """Another core is open."""
        self._opened, self._heap, self._methods, self._php = False, None, None, False

    def heap(self) -> v8.Heap | None:
        """V8's, if there is one that can be read."""
        self._open()
        return self._heap

    def methods(self) -> java.Methods | None:
        """HotSpot's, if there is one that can be read."""
        self._open()
        return self._methods

    def has_php(self) -> bool:
        """Whether there is an interpreter of PHP."""
        self._open()
        return self._php

    def _open(self) -> None:
        if self._opened:
            return
        self._opened = True
        try:
            self._heap = v8.Heap(read, _constant)
        except LookupError:
            self._heap = None
        known = evidence.open()
        vm = known.code_cache().structures if known else None
        self._methods = java.Methods(vm) if vm else None
        self._php = has(php.INTERPRETER)


runtimes = _Runtimes()


def managed(frame: "gdb.Frame") -> Managed | None:
    """What a frame runs that is no native function.

    It is a call of an interpreter, or its code has no unwind information, and no name but V8's own.
    """
    functions = python.functions(frame)
    if functions:
        return _nested([Managed(PYTHON, *each) for each in functions])
    name = frame.name()
    if name == php.INTERPRETER:
        return _nested([Managed(PHP, *each) for each in php.functions(frame, read)])
    if name is not None and not name.startswith(_BUILTIN):
        return None
    places = gocore.runtime.places(frame)
    if places:
        return _nested([Managed(GO, *each) for each in places])
    register, known = _FRAME_POINTERS.get(frame.architecture().name()), evidence.open()
    if register is None or known is None or known.entry(frame.pc()) is not None:
        return None
    try:
        pointer = int(frame.read_register(register)) & (1 << 64) - 1
    except (gdb.error, ValueError):
        return None
    heap, methods, blob = runtimes.heap(), runtimes.methods(), known.compiled_java(frame.pc())
    if methods and blob:
        return _nested([Managed(JAVA, *each) for each in methods.of_frame(blob, frame.pc(), pointer)])
    function = heap.function(pointer) if heap else None
    return function and Managed(JAVASCRIPT, *function)


def names(frame: "gdb.Frame") -> list[str | None]:
    """The functions that a frame runs, the innermost of those inlined there first; None of one without a name."""
    found = managed(frame)
    return [each.function for each in (found, *found.outer)] if found else [callers.place(frame)[0]]


def _nested(functions: list[Managed]) -> Managed | None:
    """The innermost of the functions that one frame runs, with the others; None of none."""
    return functions[0]._replace(outer=tuple(functions[1:])) if functions else None


class _Decorator(FrameDecorator):
    """Shows a managed function in the place of machine code."""

    def __init__(self, base: FrameDecorator, shown: Managed) -> None:
        super().__init__(base)
        self._shown = shown

    def function(self) -> str:
        return self._shown.function

    def filename(self) -> str | None:
        return self._shown.file

    def line(self) -> int | None:
        return self._shown.line

    def frame_args(self) -> None:
        """None: the machine's are those of what runs the function."""

    def frame_locals(self) -> None:
        """None, likewise."""


class _Filter:
    """Asks for each frame that ``bt`` and editors show (gdb manual, "Frame Filter API")."""

    name, priority = "corebox-managed", 50

    def __init__(self) -> None:
        self._wanted = True

    @property
    def enabled(self) -> bool:
        """Only where there is something to show: with a filter gdb prints all frames in another way."""
        every = (runtimes.heap, runtimes.methods, runtimes.has_php, gocore.runtime.module, python.interpreters)
        return self._wanted and any(each() for each in every)

    @enabled.setter
    def enabled(self, wanted: bool) -> None:
        self._wanted = wanted

    def filter(self, frames: Iterator[FrameDecorator]) -> Iterator[FrameDecorator]:
        """The frames, decorated."""
        for frame in frames:
            found = managed(frame.inferior_frame())
            yield from (_Decorator(frame, each) for each in (found, *found.outer)) if found else (frame,)


def _constant(name: str) -> int | None:
    try:
        return int.from_bytes(read(address_of(f"v8dbg_{name}"), 4), "little", signed=True)
    except LookupError:
        return None


def register() -> None:
    """Have gdb ask us for each frame that it shows."""
    shown = _Filter()
    gdb.frame_filters[shown.name] = shown
    if hasattr(gdb.events, "corefile_changed"):
        gdb.events.corefile_changed.connect(runtimes.forget)
        gdb.events.corefile_changed.connect(python.forget)
