"""Python frames at the native frames that run them."""

import re
from collections.abc import Iterator
from posixpath import basename
from typing import Any, NamedTuple

from corebox.debugger.answer import Frame, Inlined, PythonFrame, Stack

PYTHON = "Python"
# CPython's evaluator runs a Python frame, since 3.11 with those that it calls (Python/ceval.c); ".cold" and the like
# are the compiler's.
_EVALUATOR = re.compile(r"_?PyEval_EvalFrame(Default|Ex)(\..*)?")
# Python's own library and what it runs itself; packages that were installed are a program's own.
_LIBRARY = re.compile(
    r"<frozen .*>|<string>|.*/(lib|lib64|Lib)/(python[23]?(\.\d+)?/)(?!site-packages|dist-packages).*"
)


class PlacedPython(NamedTuple):
    """A Python frame; ``native`` is the index of the native frame that runs it, None if that cannot be told."""

    frame: PythonFrame
    native: int | None

    @property
    def text(self) -> str:
        """As a line of a stack."""
        return f"{self.frame.function} at {self.frame.file}:{self.frame.line}"

    @property
    def label(self) -> str:
        """As a function of a signature: ``orders.py:parse``."""
        return label(self.frame.function, self.frame.file)

    def to_json(self) -> dict[str, Any]:
        """A Python frame of ``schema/report-1.schema.json``."""
        frame = self.frame
        return {"function": frame.function, "file": frame.file, "line": frame.line, "native": self.native}


def functions_of(frame: Frame) -> Iterator[Inlined]:
    """All functions that a native frame runs, the innermost first."""
    yield Inlined(frame.function or "", frame.file, frame.line)
    yield from frame.inlined_into


def label(function: str | None, file: str | None) -> str:
    """A Python function as one of a signature: ``orders.py:parse``."""
    return f"{basename(file or '')}:{function}"


def is_library(path: str) -> bool:
    """Whether a Python file is of Python's standard library."""
    return bool(_LIBRARY.fullmatch(path))


def place_python(stack: Stack) -> tuple[PlacedPython, ...]:
    """The Python frames of a thread, the innermost first, at its native frames.

    Where gdb has told at which these are, they are there. Else each call of the evaluator has the frames from where the
    last one ended up to the next entry. Where the native stack ends too early, its calls are those of the innermost; if
    there is another number of them, nothing is certain.
    """
    if any(frame.language == PYTHON for frame in stack.frames):
        return tuple(map(PlacedPython, stack.python, _told(stack)))
    evaluators = [
        index for index, frame in enumerate(stack.frames) if frame.function and _EVALUATOR.fullmatch(frame.function)
    ]
    entries = sum(frame.entry for frame in stack.python)
    if len(evaluators) != entries and (stack.complete or len(evaluators) > entries):
        evaluators = []
    return tuple(_placed(stack.python, evaluators))


def _told(stack: Stack) -> list[int | None]:
    """By Python frame the index of the native one, from the inside to where frames are left out, and from the outside.

    Native frames that are left out leave their Python frames without any.
    """
    count = len(stack.python)
    found: list[int | None] = [None] * count
    cut = stack.omitted.after if stack.omitted else len(stack.frames)
    runs = [
        (index, [(each.function, each.file, each.line or 0) for each in functions_of(frame)])
        for index, frame in enumerate(stack.frames)
        if frame.language == PYTHON
    ]
    functions = [(each.function, each.file, each.line) for each in stack.python]
    at = 0
    for index, run in runs:
        if index < cut and functions[at : at + len(run)] == run:
            found[at : at + len(run)] = [index] * len(run)
            at += len(run)
    end = count
    for index, run in reversed(runs):
        start = end - len(run)
        if index >= cut and start >= at and not stack.python_omitted and functions[start:end] == run:
            found[start:end] = [index] * len(run)
            end = start
    return found


def _placed(python: tuple[PythonFrame, ...], evaluators: list[int]) -> Iterator[PlacedPython]:
    calls = iter(evaluators)
    current = next(calls, None)
    for frame in python:
        yield PlacedPython(frame, current)
        if frame.entry:
            current = next(calls, None)
