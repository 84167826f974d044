"""The Python stacks of a CPython in the core, out of the interpreter's own tables.

Those of 3.7 to 3.13 corebox reads itself; pystack, natively, those of later ones. No debug files of Python are needed.
"""

import faulthandler
import re
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

import gdb

from corebox.gdbside.memory import mapped
from corebox.gdbside.memory.process import has
from corebox.gdbside.runtimes import pythonframes

HOME = "/.corebox/toolbox/share/pystack"
MAX_FRAMES = pythonframes.MAX_SHOWN
MAX_LENGTH = 60  # seconds


class PythonFrame(NamedTuple):
    """A Python frame; the evaluator in C was called for it alone if ``entry``, else an outer frame's call runs it."""

    function: str
    file: str
    line: int | None
    entry: bool


class Stack(NamedTuple):
    """The frames of a thread, the innermost first.

    Attributes:
        tid: of the thread.
        frames: the frames.
        omitted: how many more there are.
        whole: whether that is known for certain.
        holds_lock: whether the thread holds the global lock of an interpreter.
    """

    tid: int
    frames: list[PythonFrame]
    omitted: int
    whole: bool = True
    holds_lock: bool = False


def is_python() -> bool:
    """Whether a CPython (3.7 and later) is in the core: it exports its state under this name."""
    return has("_PyRuntime")


def unsupported() -> str | None:
    """The version of a CPython that is too old to be read, ``2.7`` or ``before 3.7``; None if there is none."""
    if is_python() or not all(map(has, ("Py_Initialize", "PyEval_EvalFrameEx"))):
        return None
    paths = " ".join(mapping.path for mapping in mapped.opened().mappings)
    named = re.search(r"/(?:lib)?python(\d\.\d+)", paths)
    return named[1] if named else "before 3.7"


def stacks() -> list[Stack]:
    """Those of each thread that runs Python.

    Ends gdb if pystack hangs, which nothing else could interrupt.

    Raises:
        RuntimeError: they cannot be read, and why.
    """
    program, version = gdb.current_progspace().filename, unsupported()
    if version:
        raise RuntimeError(f"CPython {version} is not supported; 3.7 and later are")
    own = pythonframes.stacks()
    if own:
        return list(map(_bounded, own))
    if program is None:
        raise RuntimeError("gdb knows no executable")
    sys.path.insert(0, HOME)
    faulthandler.dump_traceback_later(MAX_LENGTH, exit=True, file=2)
    try:
        from pystack.engine import NativeReportingMode, get_process_threads_for_core  # noqa: PLC0415

        found = get_process_threads_for_core(mapped.PATH, program, native_mode=NativeReportingMode.OFF)
        return _by_thread(found)
    except Exception as error:  # whatever pystack makes of a damaged core: the caller wants words
        raise RuntimeError(" ".join(str(error).split()) or type(error).__name__) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
        sys.path.remove(HOME)


def _bounded(stack: pythonframes.Running) -> Stack:
    frames = [PythonFrame(*each, entry) for each, entry in stack.functions]
    return Stack(stack.lwp, frames, stack.omitted, stack.whole, stack.holds_lock)


def _by_thread(found: Iterable[Any]) -> list[Stack]:
    """A thread that has entered another interpreter is found once for each: the main one is the outermost."""
    frames: dict[int, list[PythonFrame]] = {}
    for thread in sorted(found, key=lambda each: -(each.interpreter_id or 0)):
        frames.setdefault(thread.tid, []).extend(_frames(thread))
    return [Stack(tid, each[:MAX_FRAMES], max(len(each) - MAX_FRAMES, 0)) for tid, each in frames.items()]


def _frames(thread: Any) -> list[PythonFrame]:  # of pystack
    # The list begins at the outermost frame; shims are marks that CPython 3.12 and later puts between two C calls.
    frames = [
        PythonFrame(each.code.scope, each.code.filename, each.code.location.lineno, each.is_entry)
        for each in thread.all_frames
        if not each.is_shim
    ]
    return frames[::-1]


def lines() -> list[str]:
    """The stack of the selected thread as Python's own traceback has it, the innermost frame last."""
    selected = gdb.selected_thread()
    if selected is None or not (is_python() or unsupported()):
        return ["there is no CPython in this core"]
    try:
        found = {each.tid: each for each in stacks()}
    except RuntimeError as error:
        return [f"the Python stacks cannot be read: {error}"]
    stack = found.get(selected.ptid[1])
    if stack is None or not stack.frames:
        return ["this thread runs no Python"]
    calls = [f'  File "{each.file}", line {each.line or "?"}, in {each.function}' for each in reversed(stack.frames)]
    cut = [f"  ... {stack.omitted} more frames are not shown"] if stack.omitted else []
    damaged = [] if stack.whole else ["  ... the stack is damaged further out"]
    return ["Traceback (most recent call last):", *damaged, *cut, *calls]
