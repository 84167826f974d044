"""Python frames at the native frames that run them."""

import re
from collections.abc import Iterator
from posixpath import basename
from typing import Any, NamedTuple

from corebox.debugger.answer import PythonFrame, Stack

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
        return f"{basename(self.frame.file)}:{self.frame.function}"

    def to_json(self) -> dict[str, Any]:
        """A Python frame of ``schema/report-1.schema.json``."""
        frame = self.frame
        return {"function": frame.function, "file": frame.file, "line": frame.line, "native": self.native}


def is_library(path: str) -> bool:
    """Whether a Python file is of Python's standard library."""
    return bool(_LIBRARY.fullmatch(path))


def place_python(stack: Stack) -> tuple[PlacedPython, ...]:
    """The Python frames of a thread, the innermost first, at its native frames.

    Each call of the evaluator has the frames from where the last one ended up to the next entry. Where the native stack
    ends too early, its calls are those of the innermost; if there is another number of them, nothing is certain.
    """
    evaluators = [
        index for index, frame in enumerate(stack.frames) if frame.function and _EVALUATOR.fullmatch(frame.function)
    ]
    entries = sum(frame.entry for frame in stack.python)
    if len(evaluators) != entries and (stack.complete or len(evaluators) > entries):
        evaluators = []
    return tuple(_placed(stack.python, evaluators))


def _placed(python: tuple[PythonFrame, ...], evaluators: list[int]) -> Iterator[PlacedPython]:
    calls = iter(evaluators)
    current = next(calls, None)
    for frame in python:
        yield PlacedPython(frame, current)
        if frame.entry:
            current = next(calls, None)
