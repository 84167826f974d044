"""What gdb answers about a crash: parsed as hostile data, because code of the customer's ran in the same gdb.

Whatever is in the output, the result is a value of bounded size or an InputError.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from corebox.bundle.fields import (
    ADDRESS,
    FLAG,
    NUMBER,
    Annotated,
    Kind,
    array,
    read_fields,
    record,
)
from corebox.debugger.goroutines import Goroutines
from corebox.debugger.kinds import MAX_COUNT as _MAX_COUNT
from corebox.debugger.kinds import MAX_LENGTH as _MAX_LENGTH
from corebox.debugger.kinds import TEXT as _TEXT
from corebox.debugger.kinds import several as _list
from corebox.debugger.kinds import word as _word
from corebox.debugger.records import LAST, Record, read_objects
from corebox.errors import InputError

#: The parts of an answer that are named where they are missing.
PARTS = ("stacks", "registers", "disassembly", "cause", "python", "goroutines")

Value = TypeVar("Value")


def _maybe(kind: Kind, data: Any) -> Any:
    return None if data is None else kind.read(data)


class Variable(NamedTuple):
    """An argument or local variable."""

    name: Annotated[str, _TEXT, "Name."]
    value: Annotated[str, _TEXT, "Value, as gdb prints it."]


class SourceLine(NamedTuple):
    """A line of a source file."""

    line: Annotated[int, NUMBER, "Number of the line, from 1."]
    text: Annotated[str, _TEXT, "The line."]


class Inlined(NamedTuple):
    """A function of a virtual machine that shares the native frame of another one."""

    function: Annotated[str, _TEXT, "Name of the function."]
    file: Annotated[str | None, _TEXT, "Source file, as the virtual machine knows it."]
    line: Annotated[int | None, NUMBER, "Line in that file."]


class Frame(NamedTuple):
    """One frame."""

    pc: Annotated[int, ADDRESS, "Program counter."]
    kind: Annotated[str, _word("normal", "inline", "signal-handler", "other"), "What sort of frame it is."]
    function: Annotated[str | None, _TEXT, "Name of the function."]
    file: Annotated[str | None, _TEXT, "Source file, as the debug information names it."]
    line: Annotated[int | None, NUMBER, "Line in that file."]
    arguments: Annotated[
        tuple[Variable, ...], _list(Variable), "Arguments, of the crashed thread's innermost frames only."
    ] = ()
    locals: Annotated[tuple[Variable, ...], _list(Variable), "Local variables, likewise."] = ()
    source: Annotated[
        tuple[SourceLine, ...], _list(SourceLine), "Lines around `line`, if the source file is at hand."
    ] = ()
    unwind: Annotated[
        str,
        _word("registers", "cfi", "frame-pointer", "call", "prologue", "runtime", "signal"),
        "How it was found: `registers` is the innermost frame, where the thread was; `cfi` by the callee's unwind"
        " information; `frame-pointer` by a chain of frame pointers, for code without unwind information; `call` by a"
        " return address that follows a call of this very function; `prologue` by the first instructions of the callee;"
        " `runtime` by what a virtual machine has noted of the code that it compiled; `signal` is the frame that a"
        " signal interrupted.",
    ] = "cfi"
    no_values: Annotated[
        str | None,
        _TEXT,
        "Why `arguments` and `locals` are empty: `no debug information`, or how gdb ended; null if they were read. Only"
        " the thread that crashed is shown with values.",
    ] = None
    language: Annotated[
        str | None,
        _TEXT,
        "Of a managed function that the machine code of the frame runs: `JavaScript`, `Java`, `PHP`, `Python`, or `Go`"
        " where the program has no symbols; null for a native function."
        " `module` is then that of the machine code, null if it was compiled at run time.",
    ] = None
    omitted: Annotated[int, NUMBER, "How many further variables the frame has."] = 0
    sp: Annotated[
        int | None,
        ADDRESS,
        "Stack pointer; a frame of an inlined function has that of the frame it is a part of. `null` if it is not"
        " known.",
    ] = None
    tail_call: Annotated[
        str | None,
        _TEXT,
        "A function that this one called and that is not on the stack, because its own last call replaced its frame.",
    ] = None
    inlined_into: Annotated[
        tuple[Inlined, ...],
        _list(Inlined),
        "Functions that a virtual machine has compiled this managed function into, or, with an interpreter of PHP or"
        " Python, that have called it, from the inside out; they have no native frames of their own.",
    ] = ()


class PythonFrame(NamedTuple):
    """A Python frame."""

    function: Annotated[str, _TEXT, "Name of the Python function."]
    file: Annotated[str, _TEXT, "Its source file, as Python knows it."]
    line: Annotated[int, NUMBER, "The line that it has come to; 0 if that is not known."]
    entry: Annotated[bool, FLAG, "Whether CPython's evaluator was called for it alone, not by an outer frame."]


class PythonStack(NamedTuple):
    """The Python frames of a thread."""

    tid: Annotated[int, NUMBER, "The kernel's thread ID."]
    frames: Annotated[tuple[PythonFrame, ...], _list(PythonFrame), "The calls, the innermost first."]
    omitted: Annotated[int, NUMBER, "How many of the outermost are left out."]
    whole: Annotated[bool, FLAG, "Whether these are all: the rest may be damaged."] = True
    holds_lock: Annotated[bool, FLAG, "Whether the thread holds the interpreter's global lock."] = False

    @property
    def title(self) -> str | None:
        """What such a thread is."""
        if self.holds_lock:
            return "Python thread that holds the GIL"
        return "Python thread" if self.frames else None


class Repeated(NamedTuple):
    """A function that is often among frames that are left out."""

    name: Annotated[str | None, _TEXT, "Name."]
    times: Annotated[int, NUMBER.called("count"), "How often."]


class Omitted(NamedTuple):
    """Frames of a stack that are left out."""

    after: Annotated[int, NUMBER, "So many of `frames` come before them."]
    frames: Annotated[int, NUMBER.called("count"), "How many."]
    functions: Annotated[tuple[Repeated, ...], _list(Repeated), "The most frequent functions among them."]


class Stack(NamedTuple):
    """A thread with its frames."""

    number: Annotated[int, NUMBER, "gdb's number."]
    tid: Annotated[int, NUMBER, "The kernel's thread ID."]
    name: Annotated[str | None, _TEXT, "Name of the thread."]
    frames: Annotated[tuple[Frame, ...], _list(Frame), "The calls, the innermost first."]
    end: Annotated[str, _TEXT, "Why there is no frame further out, in a sentence."]
    complete: Annotated[bool, FLAG, "Whether that is because the thread began there."]
    python: Annotated[tuple[PythonFrame, ...], _list(PythonFrame), "Its Python frames, the innermost first."] = ()
    omitted: Annotated[Omitted | None, record(Omitted), "Frames left out in the middle of a very long stack."] = None
    python_omitted: Annotated[int, NUMBER, "How many of the outermost Python frames are left out."] = 0
    python_whole: Annotated[bool, FLAG, "Whether the Python frames could be followed to the outermost."] = True


class Register(NamedTuple):
    """A general register."""

    name: Annotated[str, _TEXT, "Name."]
    value: Annotated[int, ADDRESS, "Value."]


class Instruction(NamedTuple):
    """One line of disassembly."""

    address: Annotated[int, ADDRESS, "Address."]
    text: Annotated[str, _TEXT, "Instruction."]


class Why(NamedTuple):
    """What kind of fault it is, in a sentence, and what shows it."""

    kind: Annotated[str, _TEXT, "A word, e.g. `null-dereference`, `stack-overflow`, `uncaught-exception`."]
    sentence: Annotated[str, _TEXT, "The same in a sentence."]
    evidence: Annotated[tuple[str, ...], array(_TEXT, _MAX_COUNT), "What shows it, in sentences."]
    detail: Annotated[
        str | None,
        _TEXT,
        "What is the same in each such crash: the exception's type, the assertion's expression.",
    ] = None
    thread: Annotated[int | None, NUMBER, "gdb's number of the thread that failed; null if that is not known."] = None
    frame: Annotated[
        int,
        NUMBER,
        "Level of the frame that the signal interrupted: those before it are of a handler, which ran afterwards.",
    ] = 0
    signal: Annotated[int | None, NUMBER, "Number of the signal that interrupted it."] = None
    function: Annotated[
        str | None,
        _TEXT,
        "The program's own function that failed, where something else than a frame tells it: the message of a failed"
        " assertion; that it alone has an array in a frame whose end was overwritten; the goroutine that waits or ran"
        " out of stack. Of a Rust panic in a program without symbols it is the place in the source.",
    ] = None


class Missing(NamedTuple):
    """A part of the answer that there is not."""

    part: Annotated[str, _word(*PARTS, "values"), "Which part."]
    reason: Annotated[str, _TEXT, "Why, in words."]


class SourceName(NamedTuple):
    """A source file that gdb does not find."""

    build_id: Annotated[str, _TEXT, "Build ID of the file that names it."]
    path: Annotated[str, _TEXT, "Its path there."]


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
        goroutines: those of a Go program.
    """

    threads: tuple[Stack, ...]
    registers: tuple[Register, ...]
    disassembly: tuple[Instruction, ...]
    why: Why | None
    missing: tuple[Missing, ...] = ()
    total: int = 0
    gdb: str | None = None
    goroutines: Goroutines | None = None


class _Stacks(NamedTuple):
    threads: Annotated[tuple[Stack, ...], _list(Stack), "The stacks."]
    total: Annotated[int, NUMBER, "How many there are."]
    gdb: Annotated[str | None, _TEXT, "Version of gdb."]
    python: Annotated[bool, FLAG, "Whether a CPython is in the core."]
    go: Annotated[bool, FLAG, "Whether the program is one of Go's."] = False


def parse_answer(records: Sequence[Record], deaths: Sequence[tuple[int, str]] = ()) -> Answer:
    """The answer that the records make; a part that is missing or malformed costs that part alone.

    Args:
        records: what gdb wrote, in all its runs.
        deaths: the number of each step that gdb did not survive, and how it ended.
    """
    parts = {each.part: each for each in records if each.part not in (LAST, "values")}
    ends = dict(deaths)
    missing: list[Missing] = []

    def part(name: str, understood: Callable[[Any], Value], nothing: Value) -> Value:
        found = parts.get(name)
        try:
            if found is not None and found.error is None:
                return understood(found.found)
            reason = found.error if found is not None else None
        except (ValueError, TypeError) as error:
            reason = _malformed(error)
        missing.append(Missing(name, (reason or ends.get(PARTS.index(name)) or "gdb ended before")[:_MAX_LENGTH]))
        return nothing

    stacks = part("stacks", record(_Stacks).read, _Stacks((), 0, None, False))
    registers: tuple[Register, ...] = part("registers", _list(Register).read, ())
    disassembly: tuple[Instruction, ...] = part("disassembly", _list(Instruction).read, ())
    why = part("cause", lambda data: _maybe(record(Why), data), None)
    threads = _with_values(stacks.threads, records, ends)
    # Of a program without Python nothing is missing, whatever became of that step.
    if stacks.python or "python" in parts:
        threads = _with_python(threads, part("python", lambda data: _maybe(_list(PythonStack), data) or (), ()))
    goroutines = None
    if stacks.go or "goroutines" in parts:
        goroutines = part("goroutines", lambda data: _maybe(record(Goroutines), data), None)
        threads = _named(threads, goroutines)
    return Answer(threads, registers, disassembly, why, tuple(missing), stacks.total, stacks.gdb, goroutines)


def parse_source_names(output: bytes) -> tuple[SourceName, ...]:
    """The source files that gdb does not find, in what it wrote.

    Raises:
        InputError: ``no-answer``.
    """
    try:
        names: tuple[SourceName, ...] = _list(SourceName).read(next(read_objects(output)).get("sources"))
    except (StopIteration, ValueError, TypeError) as error:
        raise no_answer("it named no source files") from error
    return names


def no_answer(why: str) -> InputError:
    """The error for a gdb that told nothing."""
    hint = "see what gdb says: corebox shell SUBJECT"
    return InputError("no-answer", f"gdb could not read the crash: {why}", hint)


def _malformed(error: Exception) -> str:
    return f"gdb's answer is malformed ({type(error.__cause__ or error).__name__})"


def _with_values(threads: tuple[Stack, ...], records: Sequence[Record], ends: Mapping[int, str]) -> tuple[Stack, ...]:
    """The same with the values of the thread that crashed; each frame that has none says why."""
    if not threads:
        return ()
    frames = list(threads[0].frames)
    for level, frame in enumerate(frames):
        reason = ends.get(len(PARTS) + level, "only the innermost frames are shown with values")
        frames[level] = frame._replace(no_values=reason)
    for each in records:
        level = each.number - len(PARTS)
        if each.part == "values" and (each.found is not None or each.error) and 0 <= level < len(frames):
            frames[level] = _frame_with_values(frames[level], each)
    return (threads[0]._replace(frames=tuple(frames)), *map(_without_values, threads[1:]))


def _without_values(thread: Stack) -> Stack:
    why = "only the thread that crashed is shown with values"
    return thread._replace(frames=tuple(each._replace(no_values=why) for each in thread.frames))


def _frame_with_values(frame: Frame, found: Record) -> Frame:
    if found.error:
        return frame._replace(no_values=found.error[:_MAX_LENGTH])
    try:
        values = read_fields(Frame, found.found, ("arguments", "locals", "source", "omitted"))
        missing = _maybe(_TEXT, found.found["missing"])
    except (ValueError, KeyError, TypeError) as error:
        return frame._replace(no_values=_malformed(error))
    return frame._replace(**values, no_values=missing)


def _with_python(threads: tuple[Stack, ...], stacks: tuple[PythonStack, ...]) -> tuple[Stack, ...]:
    found = {each.tid: each for each in stacks}
    nothing = PythonStack(0, (), 0)
    pairs = [(thread, found.get(thread.tid, nothing)) for thread in threads]
    return tuple(
        thread._replace(
            name=_title(thread.name, each.title),
            python=each.frames,
            python_omitted=each.omitted,
            python_whole=each.whole,
        )
        for thread, each in pairs
    )


def _named(threads: tuple[Stack, ...], goroutines: Goroutines | None) -> tuple[Stack, ...]:
    """The same, those that run goroutines with names that say so."""
    groups = goroutines.groups if goroutines else ()
    known = {each.thread: f"goroutine {each.numbers[0]}" for each in groups if each.numbers}
    return tuple(each._replace(name=_title(each.name, known.get(each.number))) for each in threads)


def _title(name: str | None, runs: str | None) -> str | None:
    """A thread's name, with what it runs."""
    return ", ".join(filter(None, (name, runs))) or None
