"""The facts of a fault as gdb has them: frames, registers, memory, symbols."""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import gdb

from corebox.gdbside import selection
from corebox.gdbside.frames import arrays, callers, sigframe, tailcalls
from corebox.gdbside.frames.siginfo import Signal
from corebox.gdbside.memory import mapped
from corebox.gdbside.memory.mapped import MappedCore
from corebox.gdbside.runtimes import gocore, goroutines
from corebox.gdbside.why.facts import FATAL, MAX_FRAMES, SI_KERNEL, SIGABRT, Fault, Goroutine, Place, plain

_MAX_OF_HANDLERS = 2048
_GREATEST_SIGNAL = 127  # on MIPS; 64 elsewhere


class AskedOfGdb:
    """What rules may ask (``facts.Debugger``), of the selected thread's frames from the interrupted one on."""

    def __init__(self, frames: Sequence[gdb.Frame], core: MappedCore) -> None:
        self._frames, self._core = frames, core

    def register(self, name: str) -> int | None:
        """A register of the interrupted frame."""
        return self._register(0, name)

    def callee(self, level: int) -> str | None:
        """The function that a frame has called, by its call instruction."""
        try:
            return tailcalls.callee(int(self._frames[level].pc()))
        except (gdb.error, IndexError, OverflowError):
            return None

    def arrays(self, level: int) -> Sequence[str]:
        """The functions within a frame's code that have arrays."""
        try:
            return [plain(each) for each in arrays.owners(self._frames[level])]
        except (gdb.error, IndexError, RuntimeError):
            return []

    def stack_of(self, level: int) -> int | None:
        """The stack pointer of a frame."""
        return self._register(level, "sp")

    def _register(self, level: int, name: str) -> int | None:
        try:
            return int(self._frames[level].read_register(name)) & (1 << 64) - 1
        except (ValueError, gdb.error):
            return None

    def read(self, address: int, size: int) -> bytes | None:
        """Memory, if the core has all of it."""
        try:
            return gdb.selected_inferior().read_memory(address, size).tobytes()
        except (gdb.MemoryError, OverflowError, ValueError):
            return None

    def search(self, address: int, size: int, mark: bytes) -> int | None:
        """Where these bytes are in a run of memory."""
        try:
            return gdb.selected_inferior().search_memory(address, size, mark)
        except (gdb.error, gdb.MemoryError):
            return None

    def instruction(self, address: int) -> str | None:
        """The instruction at an address."""
        try:
            return str(self._frames[0].architecture().disassemble(address)[0]["asm"])
        except (gdb.error, IndexError):
            return None

    def symbol(self, address: int) -> str:
        """What gdb says of the symbol at an address."""
        return gdb.execute(f"info symbol {address:#x}", to_string=True)

    def demangled(self, name: str) -> str:
        """A C++ name; ``name`` is plain: nothing of it can be more than a name to gdb."""
        return gdb.execute("demangle -l c++ -- " + name, to_string=True).strip()

    def variable(self, level: int, name: str) -> Any:
        """A variable of a frame, counted from the interrupted one."""
        try:
            return self._frames[level].read_var(name)
        except (ValueError, gdb.error):
            return None

    def value(self, expression: str) -> Any:
        """The value of an expression of ours."""
        try:
            return gdb.parse_and_eval(expression)
        except (gdb.error, gdb.MemoryError):
            return None

    def goroutines(self) -> Sequence[Goroutine]:
        """All, by the structures of Go's runtime: the one that failed first, or that the selected thread runs."""
        try:
            found = gocore.routines()
        except goroutines.UNREADABLE:
            return ()
        thread = gdb.selected_thread()
        found.sort(key=lambda each: (not each.failed, thread is None or each.thread != thread.num, each.number))
        return [
            Goroutine(each.number, each.thread is not None, each.panic, tuple(frame.function for frame in each.frames))
            for each in found
        ]

    def go_log(self) -> bytes | None:
        """What Go's runtime printed last of a fatal error."""
        return gocore.backlog()

    def stacks(self) -> Mapping[int, int]:
        """The threads' stack pointers."""
        return _stacks(gdb.current_progspace().filename, self._core)


@functools.lru_cache(maxsize=1)
def _stacks(_program: str | None, core: MappedCore) -> dict[int, int]:
    found: dict[int, int] = {}
    with selection.kept():
        for thread in gdb.selected_inferior().threads():
            with contextlib.suppress(gdb.error, ValueError):
                thread.switch()
                found[int(gdb.newest_frame().read_register("sp")) & ((1 << 8 * core.word) - 1)] = thread.num
    return found


def _of_go(frame: gdb.Frame) -> str | None:
    """The function of a Go program without symbols."""
    return next((each.function for each in gocore.runtime.places(frame)), None)


def fault() -> Fault:
    """The facts of the selected thread."""
    core, thread, process = mapped.opened(), selection.thread(), gdb.selected_inferior()
    frames = _frames()
    names = [plain(callers.place(frame)[0] or _of_go(frame)) for frame in frames]
    index, info = 0, _siginfo(core)
    for at, found in sigframe.signals(frames, core):
        reason = found or _guessed(names[at + 1 : at + 4], process.pid)
        if reason and reason.signal in FATAL and at + 1 < len(frames):
            index, info = at + 1, reason
    members = frozenset((process.pid, *(each.ptid[1] for each in process.threads())))
    return Fault(
        core,
        AskedOfGdb(frames[index:], core),
        frames[index].architecture().name(),
        Place(thread.num, thread.ptid[1], process.pid, members, index),
        names[index:],
        names[: max(index - 1, 0)],
        info,
        int(frames[index].pc()),
    )


def _frames() -> list[gdb.Frame]:
    found: list[gdb.Frame] = []
    frame: gdb.Frame | None = gdb.newest_frame()
    most = MAX_FRAMES
    try:
        while frame is not None and len(found) < most:
            found.append(frame)
            if frame.type() == gdb.SIGTRAMP_FRAME:  # what was interrupted is what matters
                most = min(len(found) + MAX_FRAMES, _MAX_OF_HANDLERS)
            frame = frame.older()
    except gdb.error:
        pass  # what is below a damaged frame is not known
    return found


def _siginfo(core: MappedCore) -> Signal:
    """That of the core, which it died of."""
    try:
        info = gdb.parse_and_eval("$_siginfo")
        signal, code = int(info["si_signo"]), int(info["si_code"])
        if "mips" in gdb.selected_inferior().architecture().name():  # there the code comes before the error number
            code = int(info["si_errno"])
    except gdb.error:
        return Signal(core.signal)
    if not 0 < signal <= _GREATEST_SIGNAL:  # other systems have other layouts
        return Signal(core.signal)
    fields = info["_sifields"]
    sender = int(fields["_kill"]["si_pid"]) if code <= 0 else None
    address = int(fields["_sigfault"]["si_addr"]) if code > 0 and code != SI_KERNEL else None
    return Signal(signal, code, address, sender)


def _guessed(names: Sequence[str], process: int) -> Signal | None:
    """The signal of a handler whose frame does not say: an abort, if that is what was interrupted."""
    return None if {"abort", "__GI_abort"}.isdisjoint(names) else Signal(SIGABRT, -6, None, process)
