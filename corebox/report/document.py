"""The report as plain values: what gdb answered, joined with what the manifest and the core say."""

from collections.abc import Iterable, Iterator, Sequence
from posixpath import basename
from typing import Any, NamedTuple

from corebox import __version__
from corebox.bundle.fields import hexadecimal, to_json
from corebox.bundle.manifest import Manifest, ModuleEntry
from corebox.debugger.answer import Answer, Frame, Omitted, Stack, Why
from corebox.locate.status import ModuleSymbols
from corebox.printable import html_table
from corebox.report.family import Signature
from corebox.report.memory import MemoryVerdict
from corebox.report.python import PYTHON, PlacedPython, place_python


class PlacedFrame(NamedTuple):
    """A frame and the module that its code is in.

    ``offset`` is from the module's load address, ``level`` the frame's number in the whole stack.
    """

    frame: Frame
    module: str | None
    offset: int | None
    level: int = 0

    @property
    def function(self) -> str | None:
        """The function's name."""
        return self.frame.function

    @property
    def kind(self) -> str:
        """See ``Frame.kind``."""
        return self.frame.kind

    @property
    def place(self) -> str:
        """``libc.so.6+0x28d36``, or ``(no module)``."""
        return "(no module)" if self.module is None else f"{basename(self.module)}+{self.offset:#x}"

    def to_json(self) -> dict[str, Any]:
        """A frame of ``schema/report-1.schema.json``."""
        offset = None if self.offset is None else hexadecimal(self.offset)
        return {**to_json(self.frame), "level": self.level, "module": self.module, "offset": offset}


class ThreadGroup(NamedTuple):
    """Threads whose stacks are the same, frame by frame; see ``Stack``."""

    crashed: bool
    threads: tuple[Stack, ...]
    frames: tuple[PlacedFrame, ...]
    end: str
    complete: bool
    python: tuple[PlacedPython, ...] = ()
    omitted: Omitted | None = None

    @property
    def python_omitted(self) -> int:
        """How many more Python frames the threads have than are shown, the outermost ones."""
        return self.threads[0].python_omitted

    def python_at(self, level: int | None) -> tuple[PlacedPython, ...]:
        """The Python frames that the native frame of this number runs; of None those that no frame can be told of.

        None of a native frame that has them itself, as a managed function.
        """
        native = next((index for index, each in enumerate(self.frames) if each.level == level), None)
        if native is not None and self.frames[native].frame.language == PYTHON:
            return ()
        return tuple(each for each in self.python if each.native == native)

    def to_json(self) -> dict[str, Any]:
        """A group of ``schema/report-1.schema.json``."""
        return {
            "crashed": self.crashed,
            "threads": [{"number": each.number, "tid": each.tid, "name": each.name} for each in self.threads],
            "frames": [each.to_json() for each in self.frames],
            "end": self.end,
            "complete": self.complete,
            **({"omitted": to_json(self.omitted)} if self.omitted else {}),
            **({"python": [each.to_json() for each in self.python]} if self.python else {}),
            **({"python_omitted": self.python_omitted} if self.python_omitted else {}),
        }


#: Frames in a notebook.
_SHOWN = 12


class Report(NamedTuple):
    """Everything about a crash; the first of ``groups`` has the thread that crashed, alone.

    Attributes:
        name: of the subject, as given.
        identity: of the bundle.
        known: what it is known by; see ``corebox.report.signature``.
        fault: signal, module and offset of the instruction, as in the label of the image.
        manifest: of the bundle.
        answer: what gdb says.
        groups: the threads.
        symbols: of each module of the manifest.
        memory: whether it has run out of memory.
    """

    name: str
    identity: str
    known: Signature
    fault: str
    manifest: Manifest
    answer: Answer
    groups: tuple[ThreadGroup, ...]
    symbols: tuple[ModuleSymbols, ...]
    memory: MemoryVerdict

    @property
    def threads_total(self) -> int:
        """How many threads the core has; more than are shown if they are too many."""
        return max(self.answer.total, self.manifest.process.threads)

    @property
    def signature(self) -> str:
        """The same for crashes of one cause."""
        return self.known.text

    @property
    def failed(self) -> "ThreadGroup | None":
        """The threads with the stack of the one that failed, see ``failed_group``."""
        return failed_group(self.groups, self.answer.why)

    @property
    def program_counter(self) -> int | None:
        """That of the thread that crashed."""
        return self.groups[0].frames[0].frame.pc if self.groups and self.groups[0].frames else None

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        from corebox.report.text import frame_line  # noqa: PLC0415  # it imports this

        why, failed = self.answer.why, self.failed
        frames = [(f"#{each.level}", frame_line(each)) for each in failed.frames[:_SHOWN]] if failed else []
        facts = (("crash", self.name), ("cause", why.sentence if why else "-"), ("signature", self.signature))
        return html_table(("", self.fault), (*facts, *frames))

    def to_json(self) -> dict[str, Any]:
        """The document of ``schema/report-1.schema.json``."""
        why = self.answer.why
        return {
            "version": 1,
            "subject": {"name": self.name, "identity": self.identity},
            "fault": self.fault,
            "family": self.known.family,
            "signature": self.known.text,
            "signature_parts": self.known.to_json(),
            "why": why and to_json(why),
            "threads": [group.to_json() for group in self.groups],
            "registers": [to_json(each) for each in self.answer.registers],
            "disassembly": [
                {**to_json(each), "current": each.address == self.program_counter} for each in self.answer.disassembly
            ],
            "symbols": [each.to_json() for each in self.symbols],
            **({"goroutines": to_json(self.answer.goroutines)} if self.answer.goroutines else {}),
            "memory": self.memory.to_json(),
            "manifest": self.manifest.to_json(),
            "missing": [to_json(each) for each in self.answer.missing],
            "threads_total": self.threads_total,
            "made_by": {"corebox": __version__, "gdb": self.answer.gdb},
        }


def failed_group(groups: Sequence[ThreadGroup], why: Why | None) -> ThreadGroup | None:
    """The group of the thread that failed: nearly always the one that crashed."""
    number = why.thread if why else None
    found = (group for group in groups if any(thread.number == number for thread in group.threads))
    return next(found, groups[0] if groups else None)


def group_threads(stacks: Sequence[Stack], modules: Sequence[ModuleEntry]) -> tuple[ThreadGroup, ...]:
    """The first thread, which crashed, then the others by equal stacks, the most frequent first."""
    groups: dict[object, list[Stack]] = {}
    for stack in stacks[1:]:
        groups.setdefault(_key(stack), []).append(stack)
    others = sorted(groups.values(), key=lambda group: -len(group))
    return tuple(_groups([[stacks[0]], *others] if stacks else [], modules))


def _key(stack: Stack) -> object:
    return tuple((frame.pc, frame.kind) for frame in stack.frames), stack.python, stack.end, stack.omitted


def _groups(groups: Iterable[list[Stack]], modules: Sequence[ModuleEntry]) -> Iterator[ThreadGroup]:
    for index, group in enumerate(groups):
        first = group[0]
        numbered = zip(first.frames, _levels(first), strict=True)
        frames = tuple(_placed(frame, modules, level) for frame, level in numbered)
        end, python = (first.end, first.complete), place_python(first)
        yield ThreadGroup(index == 0, tuple(group), frames, *end, python, first.omitted)


def _levels(stack: Stack) -> Iterator[int]:
    """The number of each frame in the whole stack."""
    for index in range(len(stack.frames)):
        gap = stack.omitted
        yield index + gap.frames if gap and index >= gap.after else index


def _placed(frame: Frame, modules: Sequence[ModuleEntry], level: int) -> PlacedFrame:
    module = next((each for each in modules if each.start <= frame.pc < each.end), None)
    return PlacedFrame(frame, module and module.path, None if module is None else frame.pc - module.start, level)
