"""The way over an endless recursion, whose frames gdb would need minutes to unwind one by one.

gdb is told, by an unwinder for one frame, that its caller is the one so many cycles of calls further out, and unwinds
the rest as ever.
"""

from collections.abc import Sequence

import gdb
import gdb.unwinder

from corebox.gdbside.frames.cycles import FEWEST_SEEN, MAX_CYCLE_LENGTH, Call, Stack, more_cycles, moved, size_of_cycle
from corebox.gdbside.memory import mapped

#: What is left of it for gdb to unwind, in cycles.
LEFT = 2


class Jump(gdb.unwinder.Unwinder):
    """Says that the caller of the frame with this stack pointer and program counter is one far out.

    Attributes:
        skipped: how many frames lie between.
        names: the functions of a cycle.
    """

    def __init__(
        self, frame: gdb.Frame, registers: Sequence[tuple[str, gdb.Value]], skipped: int, names: Sequence[str | None]
    ) -> None:
        super().__init__("corebox-recursion")
        self._at, self._registers = (_sp(frame), frame.pc()), registers
        self.skipped, self.names = skipped, names

    def __call__(self, pending_frame: gdb.PendingFrame) -> gdb.UnwindInfo | None:
        """What gdb asks of every frame."""
        here = int(pending_frame.read_register("sp")), int(pending_frame.read_register("pc"))
        if here != self._at:
            return None
        info = pending_frame.create_unwind_info(gdb.unwinder.FrameId(*here))
        for name, value in self._registers:
            info.add_saved_register(name, value)
        return info

    def __enter__(self) -> "Jump":
        gdb.unwinder.register_unwinder(None, self, replace=True)
        gdb.invalidate_cached_frames()
        return self

    def __exit__(self, *_: object) -> None:
        gdb.frame_unwinders.remove(self)
        gdb.invalidate_cached_frames()


def find(frames: Sequence[gdb.Frame]) -> Jump | None:
    """The way over the recursion that the last of ``frames`` (innermost first) is in; None if there is none."""
    try:
        for cycle in range(1, MAX_CYCLE_LENGTH + 1):
            found = _over(frames[-FEWEST_SEEN * cycle - 1 :], cycle)
            if found:
                return found
    except (gdb.error, gdb.MemoryError, RuntimeError, OverflowError):
        pass  # then gdb unwinds what it can
    return None


def _over(seen: Sequence[gdb.Frame], cycle: int) -> Jump | None:
    if len(seen) <= FEWEST_SEEN * cycle or any(each.type() != gdb.NORMAL_FRAME for each in seen):
        return None
    calls = [Call(_sp(each), each.pc()) for each in seen]
    size = size_of_cycle(calls, cycle)
    if not size:
        return None
    times = more_cycles(calls, cycle, size, Stack(mapped.opened(), _read)) - LEFT
    if times <= 0:
        return None
    registers = _registers(seen[-1 - cycle], seen[-1], size, times)
    # The frame before the last is the one whose caller is another: the last moved out by so many cycles.
    return Jump(seen[-2], registers, times * cycle, [each.name() for each in seen[-cycle:]])


def _read(address: int, size: int) -> bytes:
    return gdb.selected_inferior().read_memory(address, size).tobytes()


def _registers(before: gdb.Frame, last: gdb.Frame, size: int, times: int) -> list[tuple[str, gdb.Value]]:
    """Those of the frame so many cycles further out."""
    found = []
    for register in last.architecture().registers("general"):
        try:
            old, new = before.read_register(register.name), last.read_register(register.name)
            value = moved(int(old), int(new), size, times)
        except (gdb.error, ValueError, TypeError):
            continue
        if value is not None:
            found.append((register.name, new if value == int(new) else gdb.Value(value).cast(new.type)))
    return found


def _sp(frame: gdb.Frame) -> int:
    return int(frame.read_register("sp"))
