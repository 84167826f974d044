"""A stand-in for the ``gdb`` module: threads, frames, memory and values that a test writes down.

Only for the lines of ``corebox.gdbside`` that call gdb; what they make of its answers is tested with real cores, and
the whole in a real gdb in the integration tests. It decides nothing: what a test did not write down is an error, as in
gdb (its manual, "Python API").
"""

import contextlib
import importlib.machinery
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.unit.gdbside.standin import Memory

VERSION, STDERR, COMMAND_RUNNING, COMMAND_STATUS = "18.1", 1, 1, 2
NORMAL_FRAME, INLINE_FRAME, TAILCALL_FRAME, SIGTRAMP_FRAME = 0, 2, 3, 4
FRAME_UNWIND_NO_REASON, FRAME_UNWIND_OUTERMOST, FRAME_UNWIND_SAME_ID, FRAME_UNWIND_NO_SAVED_PC = 0, 3, 5, 6


class error(RuntimeError):  # noqa: N801, N818  # gdb's names
    """Whatever gdb cannot do."""


class MemoryError(error):  # noqa: A001
    """Memory that the core does not have."""


class GdbError(Exception):
    """An error without a traceback."""


@dataclass
class Type:
    """A type's size and name."""

    sizeof: int = 8
    name: str | None = "long"

    def pointer(self) -> "Type":
        return Type()


class Value:
    """A number, a text or fields by name; ``shown`` is how gdb prints it, which may raise."""

    def __init__(self, raw: Any, kind: Type | None = None, *, shown: str | Exception | None = None) -> None:
        self.raw, self.type, self.shown, self.is_optimized_out = raw, kind or Type(), shown, False

    def __int__(self) -> int:
        return int.from_bytes(self.raw, "little") if isinstance(self.raw, bytes) else int(self.raw)

    def __getitem__(self, key: str | int) -> "Value":
        found = self.raw[key]
        return found if isinstance(found, Value) else Value(found)

    def cast(self, kind: Type) -> "Value":
        return Value(self.raw, kind)

    def string(self, length: int = -1) -> str:
        return str(self.raw)[: length if length >= 0 else None]

    def format_string(self, *, raw: bool = False, **_how: object) -> str:
        if isinstance(self.shown, Exception):
            raise self.shown
        return str(self.raw) if raw or self.shown is None else self.shown


@dataclass
class Symbol:
    """A variable or function."""

    name: str
    is_argument: bool = False
    is_variable: bool = False
    content: Value | None = None

    def value(self, _frame: object = None) -> Value:
        if self.content is None:
            raise error("value is not available")
        return self.content


@dataclass
class Block:
    """Variables of a scope."""

    symbols: Sequence[Symbol] = ()
    function: Symbol | None = None
    superblock: "Block | None" = None
    start: int = 0
    end: int = 0
    is_static: bool = False
    is_global: bool = False

    def __iter__(self) -> Iterator[Symbol]:
        return iter(self.symbols)


@dataclass
class Objfile:
    """A file that gdb has read."""

    filename: str | None = None
    build_id: str | None = None
    owner: "Objfile | None" = None


@dataclass
class Symtab:
    """A source file."""

    filename: str
    objfile: Objfile = field(default_factory=Objfile)

    def fullname(self) -> str:
        return self.filename


@dataclass
class Symtab_and_line:  # noqa: N801
    """A place in a source."""

    symtab: Symtab | None = None
    line: int = 0


@dataclass
class Architecture:
    """A processor; instructions by address."""

    named: str = "i386:x86-64"
    general: Sequence[str] = ("rip", "rsp", "rdi")
    code: Mapping[int, tuple[int, str]] = field(default_factory=dict)

    def name(self) -> str:
        return self.named

    def registers(self, _group: str = "") -> Iterator[Any]:
        return iter([types.SimpleNamespace(name=name) for name in self.general])

    def disassemble(self, start: int, end: int | None = None, count: int | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while (end is None or start <= end) and (count is None or len(found) < count):
            if start not in self.code:
                raise MemoryError(f"Cannot access memory at address {start:#x}")
            length, text = self.code[start]
            found.append({"addr": start, "length": length, "asm": text})
            start += length
            if end is None and count is None:
                break
        return found


@dataclass
class Frame:
    """A frame of a thread, made by ``thread``."""

    pc_: int
    function_: str | None = None
    line_: int = 0
    source: str | None = None
    registers: Mapping[str, int] = field(default_factory=dict)
    kind: int = NORMAL_FRAME
    block_: Block | None = None
    variables: Mapping[str, Value] = field(default_factory=dict)
    build_id: str | None = None
    processor: Architecture = field(default_factory=Architecture)
    reason: int = FRAME_UNWIND_NO_REASON
    fails: str | None = None
    level_: int = 0
    neighbours: "list[Frame]" = field(default_factory=list, repr=False)

    def architecture(self) -> Architecture:
        return self.processor

    def block(self) -> Block:
        if self.block_ is None:
            raise RuntimeError("Cannot locate block for frame.")
        return self.block_

    def find_sal(self) -> Symtab_and_line:
        return Symtab_and_line(Symtab(self.source, Objfile(None, self.build_id)) if self.source else None, self.line_)

    def function(self) -> Symbol | None:
        return Symbol(self.function_) if self.function_ and self.source else None

    def level(self) -> int:
        return self.level_

    def name(self) -> str | None:
        return self.function_

    def pc(self) -> int:
        return self.pc_

    def type(self) -> int:
        return self.kind

    def newer(self) -> "Frame | None":
        return self.neighbours[self.level_ - 1] if self.level_ else None

    def older(self) -> "Frame | None":
        if self.fails:
            raise error(self.fails)
        return self.neighbours[self.level_ + 1] if self.level_ + 1 < len(self.neighbours) else None

    def read_register(self, name: str) -> Value:
        if name in ("pc", "rip"):
            return Value(self.pc_)
        if name not in self.registers:
            raise ValueError(f"Bad register {name}")
        return Value(self.registers[name])

    def read_var(self, name: str) -> Value:
        if name not in self.variables:
            raise ValueError(f"Variable {name!r} not found.")
        return self.variables[name]

    def select(self) -> None:
        state.frame = self

    def unwind_stop_reason(self) -> int:
        return self.reason


@dataclass
class InferiorThread:
    """A thread."""

    num: int
    tid: int
    frames: list[Frame]
    name: str | None = None
    pid: int = 100

    @property
    def ptid(self) -> tuple[int, int, int]:
        return self.pid, self.tid, 0

    @property
    def global_num(self) -> int:
        return self.num

    def switch(self) -> None:
        state.thread, state.frame = self, None


class UnwindInfo:
    """What an unwinder says of a frame's caller."""

    def __init__(self, frame_id: object) -> None:
        self.frame_id, self.saved = frame_id, dict[str, Value]()

    def add_saved_register(self, register: str, value: Value) -> None:
        self.saved[register] = value


class PendingFrame:
    """A frame whose caller is asked for."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def architecture(self) -> Architecture:
        return self._frame.processor

    def create_unwind_info(self, frame_id: object) -> UnwindInfo:
        return UnwindInfo(frame_id)

    def level(self) -> int:
        return self._frame.level_

    def pc(self) -> int:
        return self._frame.pc_

    def read_register(self, name: str) -> Value:
        return self._frame.read_register(name)


def thread(num: int, *frames: Frame, name: str | None = None, tid: int | None = None) -> InferiorThread:
    """A thread with these frames, the innermost first."""
    neighbours = list(frames)
    for level, each in enumerate(neighbours):
        each.level_, each.neighbours = level, neighbours
    return InferiorThread(num, 99 + num if tid is None else tid, neighbours, name)


class Inferior:
    """The process that was."""

    pid = 100

    def architecture(self) -> Architecture:
        return state.processor

    def threads(self) -> tuple[InferiorThread, ...]:
        return tuple(state.threads)

    def read_memory(self, address: int, length: int) -> memoryview:
        data = state.memory.read(address, length)
        if data is None:
            raise MemoryError(f"Cannot access memory at address {address:#x}")
        return memoryview(data)

    def search_memory(self, address: int, length: int, pattern: bytes) -> int | None:
        return state.memory.search(address, length, pattern)


class Progspace:
    """The files of the process; ``libraries`` are ranges of addresses with their files."""

    @property
    def filename(self) -> str | None:
        return state.program

    def objfile_for_address(self, address: int) -> Objfile | None:
        name = self.solib_name(address)
        return Objfile(name) if name else None

    def solib_name(self, address: int) -> str | None:
        return next((name for (start, end), name in state.libraries.items() if start <= address < end), None)


class Registry:
    """An event of gdb's."""

    def __init__(self) -> None:
        self.listeners: list[Callable[..., object]] = []

    def connect(self, listener: Callable[..., object]) -> None:
        self.listeners.append(listener)

    def disconnect(self, listener: Callable[..., object]) -> None:
        self.listeners.remove(listener)


class Command:
    """A command of ours."""

    def __init__(self, name: str, _kind: int, *_: object, prefix: bool = False) -> None:
        state.commands[name] = self

    def invoke(self, argument: str, from_tty: bool) -> None:
        raise NotImplementedError


@dataclass
class State:
    """What gdb has open, and what it was told.

    Attributes:
        said: what commands print, by how they begin; an exception is raised.
        values: of expressions.
        addresses: what ``format_address`` says.
    """

    threads: list[InferiorThread] = field(default_factory=list)
    thread: InferiorThread | None = None
    frame: Frame | None = None
    memory: Memory = field(default_factory=lambda: Memory({}))
    processor: Architecture = field(default_factory=Architecture)
    program: str | None = "/opt/acme/app"
    libraries: dict[tuple[int, int], str] = field(default_factory=dict)
    files: list[Objfile] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    said: dict[str, str | Exception] = field(default_factory=dict)
    addresses: dict[int, str] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def open(self, *threads: InferiorThread) -> None:
        """A core with these threads, of which the first is selected."""
        self.threads, self.thread = list(threads), threads[0]


state = State()
events = types.SimpleNamespace()
frame_unwinders: list[Any] = []
frame_filters: dict[str, Any] = {}
pretty_printers: list[Any] = []


def reset() -> State:
    """Nothing is open."""
    global state  # noqa: PLW0603
    state = sys.modules["gdb"].state = State()  # type: ignore[attr-defined]
    events.corefile_changed, events.before_prompt = Registry(), Registry()
    frame_unwinders.clear()
    frame_filters.clear()
    return state


def selected_thread() -> InferiorThread | None:
    return state.thread


def selected_inferior() -> Inferior:
    return Inferior()


def current_progspace() -> Progspace:
    return Progspace()


def newest_frame() -> Frame:
    if state.thread is None or not state.thread.frames:
        raise error("No stack.")
    return state.thread.frames[0]


def selected_frame() -> Frame:
    return state.frame or newest_frame()


def objfiles() -> list[Objfile]:
    return state.files


def parse_and_eval(expression: str) -> Value:
    if expression not in state.values:
        raise error(f'No symbol "{expression}" in current context.')
    return state.values[expression]


def execute(command: str, _from_tty: bool = False, to_string: bool = False) -> str:
    state.executed.append(command)
    found = next((text for begin, text in state.said.items() if command.startswith(begin)), "")
    if isinstance(found, Exception):
        raise found
    return found if to_string else ""


def block_for_pc(counter: int) -> Block | None:
    return state.blocks.get(counter)


def find_pc_line(_counter: int) -> Symtab_and_line:
    return Symtab_and_line()


def format_address(address: int) -> str:
    return state.addresses.get(address, hex(address))


def frame_stop_reason_string(reason: int | None) -> str:
    return f"reason {reason}"


def invalidate_cached_frames() -> None:
    pass


def flush() -> None:
    pass


def lookup_type(name: str) -> Type:
    return Type(name=name)


def parameter(name: str) -> Any:
    return state.parameters.get(name)


def set_parameter(name: str, value: object) -> None:
    state.parameters[name] = value


def with_parameter(_name: str, _value: object) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def write(text: str, _stream: int = 0) -> None:
    state.written.append(text)


# The parts of gdb's package that are Python themselves.


class _Unwinder:
    def __init__(self, name: str) -> None:
        self.name, self.enabled = name, True


class _FrameDecorator:
    def __init__(self, base: Any) -> None:
        self._base = base

    def inferior_frame(self) -> Any:
        return self._base.inferior_frame() if hasattr(self._base, "inferior_frame") else self._base

    def function(self) -> Any:
        return self.inferior_frame().name()


def _submodule(name: str, **content: Any) -> types.ModuleType:
    made = types.ModuleType(f"gdb.{name}")
    made.__spec__ = importlib.machinery.ModuleSpec(f"gdb.{name}", None, is_package=True)
    made.__path__ = []
    vars(made).update(content)
    sys.modules[f"gdb.{name}"] = made
    return made


def install() -> None:
    """Be ``gdb`` in this process."""
    ours = sys.modules[__name__]
    if sys.modules.get("gdb") is ours:
        return
    sys.modules["gdb"] = ours
    vars(ours)["__path__"] = []
    registering = lambda _where, unwinder, replace=False: frame_unwinders.insert(0, unwinder)  # noqa: E731
    vars(ours)["unwinder"] = _submodule(
        "unwinder", Unwinder=_Unwinder, FrameId=lambda *parts: parts, register_unwinder=registering
    )
    vars(ours)["FrameDecorator"] = _submodule("FrameDecorator", FrameDecorator=_FrameDecorator)
    reset()
