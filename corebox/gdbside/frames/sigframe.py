"""The frames that the kernel put on the stack for signal handlers."""

from collections.abc import Iterator, Sequence

import gdb

from corebox.gdbside.frames import trampoline
from corebox.gdbside.frames.siginfo import Signal, SignalFrame, signal_of
from corebox.gdbside.memory.mapped import MappedCore

_MASK = (1 << 64) - 1


def signals(frames: Sequence[gdb.Frame], core: MappedCore) -> Iterator[tuple[int, Signal | None]]:
    """Index of each signal frame, the innermost first, with its signal, None if that cannot be told."""
    for index, frame in enumerate(frames):
        if frame.type() == gdb.SIGTRAMP_FRAME or trampoline.is_trampoline(frame):
            try:
                yield index, signal_of(_described(frame, core))
            except (gdb.error, gdb.MemoryError, ValueError, OverflowError):
                yield index, None


def _described(frame: gdb.Frame, core: MappedCore) -> SignalFrame:
    def read(address: int, size: int) -> bytes | None:
        try:
            return gdb.selected_inferior().read_memory(address, size).tobytes()
        except (gdb.error, gdb.MemoryError, OverflowError):
            return None

    def instruction(address: int) -> str | None:
        return str(frame.architecture().disassemble(address)[0]["asm"]) if read(address, 1) else None

    outer = frame.older()
    interrupted = int(outer.pc()) & _MASK if outer else 0
    stack = int(frame.read_register("sp"))
    return SignalFrame(frame.architecture().name(), stack, interrupted, core, read, instruction)
