"""Collects the facts of a report and writes them as lines of JSON.

gdb's own Python API only, never the text that its commands print. Everything is bounded: a hostile core may have
endless stacks, values and names. Addresses are "0x" strings; what cannot be read is left out or None.

A report is made in steps, and each step is written as soon as it is done: what a step costs if it crashes gdb, or never
comes back, is that step alone. Who runs gdb then runs it again from the step after that one.
"""

import collections
import contextlib
import faulthandler
import functools
import json
import os
import time
from collections.abc import Callable
from typing import Any

import gdb

from corebox.gdbside.answers import machine
from corebox.gdbside.bounded import hexadecimal, one_line, text
from corebox.gdbside.frames import callers, recursion, tailcalls, trampoline
from corebox.gdbside.runtimes import gocore, managed, pystacks
from corebox.gdbside.values import variables
from corebox.gdbside.why import explain

BEGIN, END = "\x1ecorebox-answer ", "\x1e\n"
MAX_THREADS, INNERMOST, OUTERMOST = 1024, 96, 32
MAX_FRAMES = 1 << 15  # of all threads; corebox/debugger/budget.py
MAX_WALKED, MAX_WALK_LENGTH, MAX_STACKS_LENGTH = 1 << 18, 40, 100  # frames; seconds of one thread, and of all
MAX_REPEATED, MAX_EVIDENCE = 8, 64
FRAMES_WITH_VALUES = 24
MAX_STEP_LENGTH = {"stacks": 180, "values": 10}  # seconds; of the others:
MAX_LENGTH = 60

KINDS = {gdb.NORMAL_FRAME: "normal", gdb.INLINE_FRAME: "inline"}


def frame_facts(frame: gdb.Frame, unwind: str) -> dict[str, Any]:
    """One frame: where it is, what function that is, and how it was found."""
    function, place = callers.place(frame)
    runs = managed.managed(frame)
    signal = frame.type() == gdb.SIGTRAMP_FRAME or trampoline.is_trampoline(frame)
    return {
        "pc": hexadecimal(frame.pc()),
        "sp": stack_pointer(frame),
        "kind": "signal-handler" if signal else KINDS.get(frame.type(), "other"),
        "unwind": unwind,
        "function": text(runs.function if runs else function),
        "file": text(runs.file) if runs else text(place.symtab.filename) if place.symtab else None,
        "line": runs.line if runs else place.line if place.symtab and place.line else None,
        "language": runs and runs.language,
        "inlined_into": [
            {"function": text(each.function), "file": text(each.file), "line": each.line} for each in runs.outer
        ]
        if runs
        else [],
        "tail_call": None if runs else text(tailcalls.left(frame)),
    }


def stack_pointer(frame: gdb.Frame) -> str | None:
    """Its stack pointer; None if gdb does not know it."""
    try:
        return hexadecimal(frame.read_register("sp"))
    except (gdb.error, ValueError):
        return None


class Walk:
    """The stack of the selected thread: its innermost and outermost frames, and what is between them in numbers."""

    def __init__(self) -> None:
        self.innermost: list[dict[str, Any]] = []
        self.top: list[gdb.Frame] = []
        self.outermost: collections.deque[tuple[gdb.Frame, str]] = collections.deque(maxlen=OUTERMOST)
        self.total, self.complete, self.end = 0, False, ""
        self.names: dict[tuple[int, int], str | None] = {}
        self.between: collections.Counter[str | None] = collections.Counter()

    def run(self) -> dict[str, Any]:
        """Walk to the end, over an endless recursion in one step; the facts."""
        latest = time.monotonic() + MAX_WALK_LENGTH
        self.walk(latest, INNERMOST)
        over = recursion.find(self.top) if len(self.innermost) == INNERMOST else None
        with over or contextlib.nullcontext():
            if over:
                self.total += over.skipped
                for name in over.names:
                    self.between[text(name)] += over.skipped // len(over.names)
            if len(self.innermost) == INNERMOST:
                self.walk(latest, MAX_WALKED)
            return self.facts()

    def walk(self, latest: float, most: int) -> None:
        """Take the frames that were not taken yet."""
        frames, taken = callers.Callers(), len(self.innermost)
        try:
            for index, (frame, unwind) in enumerate(frames):
                if index >= most or time.monotonic() > latest:
                    self.end = f"not read beyond {self.total:,} frames"
                    return
                if index >= taken:
                    self.take(frame, unwind)
            self.end, self.complete = frames.end, frames.complete
        except Exception as error:  # noqa: BLE001 - what is odd in one stack must not cost the others
            self.end = one_line(error)

    def take(self, frame: gdb.Frame, unwind: str) -> None:
        """Keep a frame, in place of the one that is not among the outermost any more."""
        self.total += 1
        if len(self.innermost) < INNERMOST:
            self.innermost.append(frame_facts(frame, unwind))
            self.top.append(frame)
            return
        if len(self.outermost) == OUTERMOST:
            self.between[self.name(self.outermost[0][0])] += 1
        self.outermost.append((frame, unwind))

    def name(self, frame: gdb.Frame) -> str | None:
        """Its function; looked for once for each address, because an endless recursion has few."""
        key = frame.pc(), frame.type()
        if key not in self.names:
            self.names[key] = text(frame.name())
        return self.names[key]

    def facts(self) -> dict[str, Any]:
        """The frames, and of those left out where, how many, and which functions they were most often."""
        count = sum(self.between.values())
        often = [{"name": name, "count": times} for name, times in self.between.most_common(MAX_REPEATED)]
        return {
            "frames": [*self.innermost, *(frame_facts(*each) for each in self.outermost)],
            "omitted": {"after": len(self.innermost), "count": count, "functions": often} if count else None,
            "end": text(self.end),
            "complete": self.complete,
        }


def stacks() -> dict[str, Any]:
    """The stacks of all threads, the one that crashed first."""
    crashed = gdb.selected_thread()
    every = [] if crashed is None else gdb.selected_inferior().threads()
    found, frames = [], 0
    first, latest = crashed.num if crashed else 0, time.monotonic() + MAX_STACKS_LENGTH
    for thread in sorted(every, key=lambda each: (each.num != first, each.num))[:MAX_THREADS]:
        thread.switch()
        facts = {"number": thread.num, "tid": thread.ptid[1], "name": text(thread.name, 64)}
        found.append({**facts, **Walk().run()})
        frames += len(found[-1]["frames"])
        if frames > MAX_FRAMES or time.monotonic() > latest:
            break
    if crashed is not None:
        crashed.switch()
    return {
        "threads": found,
        "total": len(every),
        "python": pystacks.is_python() or pystacks.unsupported() is not None,
        "go": gocore.runtime.is_go(),
        "gdb": gdb.VERSION,
    }


def cause() -> dict[str, Any] | None:
    """What kind of fault it is."""
    if gdb.selected_thread() is None:
        return None
    found = explain.explain()
    evidence = [text(each) for each in found["evidence"][:MAX_EVIDENCE]]
    if len(found["evidence"]) > MAX_EVIDENCE:
        evidence.append(f"{len(found['evidence']) - MAX_EVIDENCE:,} more lines are not shown")
    return {
        "kind": found["kind"],
        "sentence": text(found["sentence"]),
        "evidence": evidence,
        "detail": text(found["detail"]),
        "thread": found["thread"],
        "frame": found["frame"],
        "signal": found["signal"],
        "function": text(found["function"]),
    }


def python_stacks() -> list[dict[str, Any]] | None:
    """The stacks of all Python threads, the innermost frame first; None if no CPython is in the core."""
    if not pystacks.is_python() and not pystacks.unsupported():
        return None
    found = pystacks.stacks()[:MAX_THREADS]
    return [{**each._asdict(), "frames": list(map(python_frame, each.frames))} for each in found]


def python_frame(frame: pystacks.PythonFrame) -> dict[str, Any]:
    """A Python frame; its names are as bounded as all others."""
    return {
        "function": text(frame.function),
        "file": text(frame.file),
        "line": max(0, frame.line or 0),
        "entry": frame.entry,
    }


def values(level: int) -> dict[str, Any] | None:
    """The values of one frame of the thread that crashed; None beyond the last."""
    frame = gdb.newest_frame() if gdb.selected_thread() is not None else None
    for _ in range(level):
        frame = frame and frame.older()
    return {"frame": level, **variables.read(frame, managed.managed(frame) is not None)} if frame else None


#: Name and function of each step; the order is part of what the reader knows.
STEPS: list[tuple[str, Callable[[], object]]] = [
    ("stacks", stacks),
    ("registers", machine.registers),
    ("disassembly", machine.disassembly),
    ("cause", cause),
]
STEPS += [("python", python_stacks), ("goroutines", gocore.facts)]
STEPS += [("values", functools.partial(values, level)) for level in range(FRAMES_WITH_VALUES)]


def write(facts: dict[str, Any]) -> None:
    """Write facts to the standard output past gdb's pager and filters."""
    gdb.flush()
    data = (BEGIN + json.dumps({"version": 1, **facts}) + END).encode("ascii")
    while data:
        data = data[os.write(1, data) :]


def answer(first: int) -> None:
    """Take the steps from ``first`` on, and write what each of them found, or why it found nothing."""
    gdb.execute("set width 0")
    with contextlib.suppress(RuntimeError):  # new in gdb 14; before, characters counted as elements
        gdb.set_parameter("print characters", variables.MAX_VALUE_LENGTH)
    for number, (name, step) in enumerate(STEPS[first:], first):
        # Ends gdb if the step hangs, which nothing else could interrupt.
        faulthandler.dump_traceback_later(MAX_STEP_LENGTH.get(name, MAX_LENGTH), exit=True, file=2)
        found, error = None, None
        try:
            found = step()
        except Exception as caught:  # noqa: BLE001 - a part that fails must not cost the others
            error = one_line(caught)
        write({"step": number, "part": name, "found": found, "error": error})
    faulthandler.cancel_dump_traceback_later()
    write({"step": len(STEPS), "part": "end", "found": None, "error": None})
