"""What gdb answers about a crash: parsed as hostile data, because code of the customer's ran in the same gdb.

Whatever is in the output, the result is a value of bounded size or an InputError.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from corebox.errors import InputError

# The same as in images/toolbox/gdbside/report.py.
_BEGIN, _PYTHON, _END = b"\x1ecorebox-answer ", b"\x1ecorebox-python ", b"\x1e\n"
_LARGEST = 64 << 20  # bytes
_MOST = 4096  # entries of any list
_LONGEST = 4096  # characters of any text
_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}")

Value = TypeVar("Value")


class Variable(NamedTuple):
    """An argument or local variable, its value as gdb prints it."""

    name: str
    value: str


class SourceLine(NamedTuple):
    """A line of a source file, counted from 1."""

    line: int
    text: str


class Frame(NamedTuple):
    """One frame; ``kind`` is normal, inline, signal-handler or other; ``source`` has the lines around ``line``."""

    pc: int
    kind: str
    function: str | None
    file: str | None
    line: int | None
    arguments: tuple[Variable, ...]
    locals: tuple[Variable, ...]
    source: tuple[SourceLine, ...] = ()


class PythonFrame(NamedTuple):
    """A Python frame; CPython's evaluator was called anew for it if ``entry``, else an outer frame's call runs it."""

    function: str
    file: str
    line: int
    entry: bool


class Stack(NamedTuple):
    """A thread with its frames, the innermost first; ``end`` says why the stack ends too early, if it does."""

    number: int
    tid: int
    name: str | None
    frames: tuple[Frame, ...]
    end: str | None
    python: tuple[PythonFrame, ...] = ()


class Register(NamedTuple):
    """A general register."""

    name: str
    value: int


class Instruction(NamedTuple):
    """One line of disassembly."""

    address: int
    text: str


class Why(NamedTuple):
    """What kind of fault it is, in a sentence, and what shows it.

    ``detail`` is what is the same in each such crash: the exception's type, the assertion's expression.
    """

    kind: str
    sentence: str
    evidence: tuple[str, ...]
    detail: str | None = None


class Answer(NamedTuple):
    """All that gdb knows; the first thread is the one that crashed.

    ``python_missing`` says why there are no Python stacks although a CPython is in the core.
    """

    threads: tuple[Stack, ...]
    registers: tuple[Register, ...]
    disassembly: tuple[Instruction, ...]
    why: Why | None
    python_missing: str | None = None


def parse_answer(output: bytes) -> Answer:
    """The answer in what gdb wrote.

    Raises:
        InputError: ``no-answer`` if there is none in it or it is not what our Python writes.
    """
    return _parse(output, _whole)


def parse_source_names(output: bytes) -> tuple[tuple[str, str], ...]:
    """Build ID and path of each source file that gdb does not find, in what it wrote.

    Raises:
        InputError: ``no-answer``.
    """
    return _parse(output, lambda data, _: _list(data["sources"], _source_name))


def _whole(data: Any, output: bytes) -> Answer:
    answer = _answer(data)
    return _with_python(answer, _record(output, _PYTHON)) if data["python"] else answer


def _source_name(data: Any) -> tuple[str, str]:
    return _text(data["build_id"]), _text(data["path"])


def _parse(output: bytes, read: Callable[[Any, bytes], Value]) -> Value:
    record = _record(output, _BEGIN)
    if record is None:
        raise _no_answer("gdb ended before it had written one")
    try:
        return read(json.loads(record), output)
    # A JSON text may nest deeper than Python's stack, and hold numbers longer than int() takes (a ValueError).
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_answer(f"it is not well-formed ({type(error).__name__})") from error


def _record(output: bytes, mark: bytes) -> bytes | None:
    begin = output.rfind(mark)
    end = output.find(_END, begin)
    return None if begin < 0 or end < 0 or end - begin > _LARGEST else output[begin + len(mark) : end]


def _no_answer(why: str) -> InputError:
    hint = "look at the crash yourself: corebox shell SUBJECT; it shows what gdb says"
    return InputError("no-answer", f"gdb gave no report of the crash: {why}", hint)


def _answer(data: Any) -> Answer:
    if data["version"] != 1:
        raise ValueError(data["version"])
    why = data["why"]
    return Answer(
        _list(data["threads"], _stack),
        _list(data["registers"], lambda each: Register(_text(each["name"]), _address(each["value"]))),
        _list(data["disassembly"], lambda each: Instruction(_address(each["address"]), _text(each["text"]))),
        why
        and Why(
            _text(why["kind"]), _text(why["sentence"]), _list(why["evidence"], _text), _maybe(why["detail"], _text)
        ),
    )


def _with_python(answer: Answer, record: bytes | None) -> Answer:
    """The same with the Python stacks, which gdb may have died of."""
    if record is None:
        return answer._replace(python_missing="gdb ended while they were read")
    data = json.loads(record)
    found = dict(_list(data["threads"], lambda each: (_number(each["tid"]), _list(each["frames"], _python_frame))))
    threads = tuple(thread._replace(python=found.get(thread.tid, ())) for thread in answer.threads)
    return answer._replace(threads=threads, python_missing=_maybe(data["error"], _text))


def _python_frame(data: Any) -> PythonFrame:
    return PythonFrame(_text(data["function"]), _text(data["file"]), _number(data["line"]), data["entry"] is True)


def _stack(data: Any) -> Stack:
    return Stack(
        _number(data["number"]),
        _number(data["tid"]),
        _maybe(data["name"], _text),
        _list(data["frames"], _frame),
        _maybe(data["end"], _text),
    )


def _frame(data: Any) -> Frame:
    return Frame(
        _address(data["pc"]),
        _text(data["kind"]),
        _maybe(data["function"], _text),
        _maybe(data["file"], _text),
        _maybe(data["line"], _number),
        _list(data["arguments"], _variable),
        _list(data["locals"], _variable),
        _list(data["source"], lambda each: SourceLine(_number(each["line"]), _text(each["text"]))),
    )


def _variable(data: Any) -> Variable:
    return Variable(_text(data["name"]), _text(data["value"]))


def _maybe(value: Any, read: Callable[[Any], Value]) -> Value | None:
    return None if value is None else read(value)


def _list(value: Any, read: Callable[[Any], Value]) -> tuple[Value, ...]:
    if not isinstance(value, list) or len(value) > _MOST:
        raise TypeError("no list of bounded length")
    return tuple(read(each) for each in value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value[:_LONGEST]


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("no number of 63 bits")
    return value


def _address(value: Any) -> int:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise ValueError("no address")
    return int(value, 16)
