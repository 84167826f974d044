"""What gdb answers about a crash: parsed as hostile data, because code of the customer's ran in the same gdb.

Whatever is in the output, the result is a value of bounded size or an InputError.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from corebox.debugger.records import LAST, Record, read_objects
from corebox.errors import InputError

_MAX_COUNT = 4096  # entries of any list
_MAX_LENGTH = 4096  # characters of any text
_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}")

#: The parts of an answer that are named where they are missing.
PARTS = ("stacks", "registers", "disassembly", "cause", "python")

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
    """One frame.

    Attributes:
        pc: program counter.
        kind: ``normal``, ``inline``, ``signal-handler`` or ``other``.
        function: its name.
        file: source file, as the debug information names it.
        line: line in it.
        arguments: their values.
        locals: likewise.
        source: the lines around ``line``, if the file is at hand.
        unwind: how it was found: by ``registers`` (the innermost), ``cfi``, ``frame-pointer``, ``call``, ``prologue``,
            ``runtime``, or ``signal``, which is the frame that a signal interrupted.
        no_values: why there are no values; None if they were read.
        language: of a managed function, ``JavaScript``, which the machine code runs; None for a native one.
        omitted: how many more variables it has.
        sp: stack pointer, the same as that of the frame further out for one of an inlined function; None if not known.
    """

    pc: int
    kind: str
    function: str | None
    file: str | None
    line: int | None
    arguments: tuple[Variable, ...]
    locals: tuple[Variable, ...]
    source: tuple[SourceLine, ...] = ()
    unwind: str = "cfi"
    no_values: str | None = None
    language: str | None = None
    omitted: int = 0
    sp: int | None = None


class PythonFrame(NamedTuple):
    """A Python frame; CPython's evaluator was called anew for it if ``entry``, else an outer frame's call runs it."""

    function: str
    file: str
    line: int
    entry: bool


class Omitted(NamedTuple):
    """Frames of a stack that are left out: behind how many, how many, and the most frequent functions among them."""

    after: int
    frames: int
    functions: tuple[tuple[str | None, int], ...]


class Stack(NamedTuple):
    """A thread with its frames, the innermost first.

    ``end`` says why the stack ends where it does; it is ``complete`` if that is where the thread began.
    ``python_omitted`` counts the outermost Python frames that are left out.
    """

    number: int
    tid: int
    name: str | None
    frames: tuple[Frame, ...]
    end: str
    complete: bool
    python: tuple[PythonFrame, ...] = ()
    omitted: Omitted | None = None
    python_omitted: int = 0


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

    Attributes:
        kind: a word.
        sentence: the same in a sentence.
        evidence: what shows it.
        detail: what is the same in each such crash: the exception's type, the assertion's expression.
        thread: gdb's number of the thread that failed; None if that is the one that the core is of.
        frame: the level of the frame that was interrupted; those before are of a signal handler, which ran afterwards.
        signal: number of the signal that interrupted it.
    """

    kind: str
    sentence: str
    evidence: tuple[str, ...]
    detail: str | None = None
    thread: int | None = None
    frame: int = 0
    signal: int | None = None


class Missing(NamedTuple):
    """A part of the answer that there is not, and why: one of ``PARTS``."""

    part: str
    reason: str


class Answer(NamedTuple):
    """All that gdb knows; the first thread is the one that crashed.

    Attributes:
        threads: the stacks.
        registers: of the innermost frame.
        disassembly: the instructions around the fault.
        why: the kind of fault.
        missing: the parts that there are not.
        total: how many threads there are; more than ``threads`` has if they are too many.
        gdb: its version.
    """

    threads: tuple[Stack, ...]
    registers: tuple[Register, ...]
    disassembly: tuple[Instruction, ...]
    why: Why | None
    missing: tuple[Missing, ...] = ()
    total: int = 0
    gdb: str | None = None

    @property
    def python_missing(self) -> str | None:
        """Why there are no Python stacks although a CPython is in the core."""
        return next((each.reason for each in self.missing if each.part == "python"), None)


def parse_answer(records: Sequence[Record], deaths: Sequence[tuple[int, str]] = ()) -> Answer:
    """The answer that the records make; a part that is missing or malformed costs that part alone.

    Args:
        records: what gdb wrote, in all its runs.
        deaths: the number of each step that gdb did not survive, and how it ended.
    """
    parts = {each.part: each for each in records if each.part not in (LAST, "values")}
    ends = dict(deaths)
    missing: list[Missing] = []

    def part(name: str, read: Callable[[Any], Value], nothing: Value) -> Value:
        record = parts.get(name)
        try:
            if record is not None and record.error is None:
                return read(record.found)
            reason = record.error if record is not None else None
        except (ValueError, KeyError, TypeError) as error:
            reason = f"gdb's answer is malformed ({type(error).__name__})"
        missing.append(Missing(name, (reason or ends.get(PARTS.index(name)) or "gdb ended before")[:_MAX_LENGTH]))
        return nothing

    nobody = _Stacks((), 0, None, False)
    stacks = part("stacks", _stacks, nobody)
    registers: tuple[Register, ...] = part("registers", _registers, ())
    disassembly: tuple[Instruction, ...] = part("disassembly", _instructions, ())
    why = part("cause", lambda data: _maybe(data, _why), None)
    threads = _with_values(stacks.threads, records, ends)
    # Of a program without Python nothing is missing, whatever became of that step.
    if stacks.python or "python" in parts:
        threads = _with_python(threads, part("python", _pythons, {}))
    return Answer(threads, registers, disassembly, why, tuple(missing), stacks.total, stacks.gdb)


def parse_source_names(output: bytes) -> tuple[tuple[str, str], ...]:
    """Build ID and path of each source file that gdb does not find, in what it wrote.

    Raises:
        InputError: ``no-answer``.
    """
    try:
        return next(_list(data["sources"], _source_name) for data in read_objects(output))
    except (StopIteration, ValueError, KeyError, TypeError) as error:
        raise no_answer("it named no source files") from error


def no_answer(why: str) -> InputError:
    """The error for a gdb that told nothing."""
    hint = "see what gdb says: corebox shell SUBJECT"
    return InputError("no-answer", f"gdb could not read the crash: {why}", hint)


# A thread's Python frames, and how many more there are.
_Python = tuple[tuple[PythonFrame, ...], int]


class _Stacks(NamedTuple):
    threads: tuple[Stack, ...]
    total: int
    gdb: str | None
    python: bool


def _stacks(data: Any) -> _Stacks:
    threads = _list(data["threads"], _stack)
    return _Stacks(threads, _number(data["total"]), _maybe(data["gdb"], _text), data["python"] is True)


def _with_values(threads: tuple[Stack, ...], records: Sequence[Record], ends: dict[int, str]) -> tuple[Stack, ...]:
    """The same with the values of the thread that crashed; each frame that has none says why."""
    if not threads:
        return ()
    frames = list(threads[0].frames)
    for level, frame in enumerate(frames):
        reason = ends.get(len(PARTS) + level, "only the innermost frames are shown with values")
        frames[level] = frame._replace(no_values=reason)
    for record in records:
        if record.part == "values" and (record.found is not None or record.error):
            level = record.number - len(PARTS)
            if 0 <= level < len(frames):
                frames[level] = _frame_with_values(frames[level], record)
    return (threads[0]._replace(frames=tuple(frames)), *threads[1:])


def _frame_with_values(frame: Frame, record: Record) -> Frame:
    if record.error:
        return frame._replace(no_values=record.error[:_MAX_LENGTH])
    data = record.found
    try:
        return frame._replace(
            arguments=_list(data["arguments"], _variable),
            locals=_list(data["locals"], _variable),
            source=_list(data["source"], lambda each: SourceLine(_number(each["line"]), _text(each["text"]))),
            no_values=_maybe(data["missing"], _text),
            omitted=_number(data["omitted"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        return frame._replace(no_values=f"gdb's answer is malformed ({type(error).__name__})")


def _with_python(threads: tuple[Stack, ...], found: dict[int, _Python]) -> tuple[Stack, ...]:
    nothing: _Python = ((), 0)
    pairs = [(thread, *found.get(thread.tid, nothing)) for thread in threads]
    return tuple(thread._replace(python=frames, python_omitted=more) for thread, frames, more in pairs)


def _pythons(data: Any) -> dict[int, _Python]:
    threads = [] if data is None else data
    return dict(_list(threads, lambda each: (_number(each["tid"]), _python(each))))


def _python(data: Any) -> _Python:
    return _list(data["frames"], _python_frame), _number(data["omitted"])


def _source_name(data: Any) -> tuple[str, str]:
    return _text(data["build_id"]), _text(data["path"])


def _why(data: Any) -> Why:
    evidence, detail = _list(data["evidence"], _text), _maybe(data["detail"], _text)
    thread, signal = _maybe(data["thread"], _number), _maybe(data["signal"], _number)
    return Why(_text(data["kind"]), _text(data["sentence"]), evidence, detail, thread, _number(data["frame"]), signal)


def _registers(data: Any) -> tuple[Register, ...]:
    return _list(data, lambda each: Register(_text(each["name"]), _address(each["value"])))


def _instructions(data: Any) -> tuple[Instruction, ...]:
    return _list(data, lambda each: Instruction(_address(each["address"]), _text(each["text"])))


def _python_frame(data: Any) -> PythonFrame:
    return PythonFrame(_text(data["function"]), _text(data["file"]), _number(data["line"]), data["entry"] is True)


def _stack(data: Any) -> Stack:
    return Stack(
        _number(data["number"]),
        _number(data["tid"]),
        _maybe(data["name"], _text),
        _list(data["frames"], _frame),
        _text(data["end"]),
        data["complete"] is True,
        omitted=_maybe(data["omitted"], _omitted),
    )


def _omitted(data: Any) -> Omitted:
    functions = _list(data["functions"], lambda each: (_maybe(each["name"], _text), _number(each["count"])))
    return Omitted(_number(data["after"]), _number(data["count"]), functions)


def _frame(data: Any) -> Frame:
    return Frame(
        _address(data["pc"]),
        _text(data["kind"]),
        _maybe(data["function"], _text),
        _maybe(data["file"], _text),
        _maybe(data["line"], _number),
        (),
        (),
        unwind=_text(data["unwind"]),
        sp=_maybe(data.get("sp"), _address),
        no_values="only the thread that crashed is shown with values",
        language=_maybe(data.get("language"), _text),
    )


def _variable(data: Any) -> Variable:
    return Variable(_text(data["name"]), _text(data["value"]))


def _maybe(value: Any, read: Callable[[Any], Value]) -> Value | None:
    return None if value is None else read(value)


def _list(value: Any, read: Callable[[Any], Value]) -> tuple[Value, ...]:
    if not isinstance(value, list) or len(value) > _MAX_COUNT:
        raise TypeError("no list of bounded length")
    return tuple(read(each) for each in value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value[:_MAX_LENGTH]


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("no number of 63 bits")
    return value


def _address(value: Any) -> int:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise ValueError("no address")
    return int(value, 16)
