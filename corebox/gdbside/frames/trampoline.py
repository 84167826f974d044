"""Unwinds through signal trampolines that gdb does not take for one: the stack would end there.

That of Go has unwind information, which describes an ordinary function, and gdb believes it. That of musl has none, and
where a library was stripped gdb goes by the name of another function that is before it (amd64_linux_sigtramp_p).
"""

import re

import gdb
import gdb.unwinder

from corebox.gdbside.frames.evidence import evidence, thread_number

# mov $15,%rax or %eax; syscall: rt_sigreturn(2) on x86-64.
_CODES = (b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", b"\xb8\x0f\x00\x00\x00\x0f\x05")
# Registers within rt_sigframe, from the stack pointer in the trampoline (uapi/asm/sigcontext.h).
_REGISTERS = (
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp", "rip",
)  # fmt: skip
_CONTEXT = 40
_NAME = re.compile(r"(\S+)(?: \+ \d+)? in section ")


def is_trampoline(frame: gdb.Frame) -> bool:
    """Whether a frame is one."""
    return frame.architecture().name() == "i386:x86-64" and _reads(int(frame.pc()) & (1 << 64) - 1)


def interrupted(frame: gdb.Frame) -> bool:
    """Whether the signal of one interrupted ``frame``: gdb then looks for its function before its program counter."""
    newer = frame.newer()
    return newer is not None and newer.type() == gdb.NORMAL_FRAME and is_trampoline(newer)


def _reads(address: int) -> bool:
    try:
        code = gdb.selected_inferior().read_memory(address, 9).tobytes()
        if not code.startswith(_CODES):
            return False
        known = _NAME.match(gdb.execute(f"info symbol {address}", to_string=True))
        # What gdb knows one by: no name at all, or one of these.
        return known is not None and "sigaction" not in known[1] and known[1] != "__restore_rt"
    except (gdb.error, gdb.MemoryError, OverflowError):
        return False


class _FrameId:  # gdb has one since release 14
    def __init__(self, sp: gdb.Value, pc: gdb.Value) -> None:
        self.sp, self.pc = sp, pc


class Unwinder(gdb.unwinder.Unwinder):
    """From the trampoline to the frame that the signal interrupted."""

    def __init__(self) -> None:
        super().__init__("corebox signal trampoline")

    def __call__(self, pending: gdb.PendingFrame) -> gdb.UnwindInfo | None:
        """What gdb asks of each frame."""
        if pending.architecture().name() != "i386:x86-64":
            return None
        counter = pending.read_register("rip")
        if not _reads(int(counter) & (1 << 64) - 1):
            return None
        if hasattr(pending, "level"):  # new in gdb 14
            here = thread_number(), pending.level()
            evidence.trampolines.add(here)
            evidence.unmarked.add(here)
        stack = pending.read_register("rsp")
        start = int(stack) & (1 << 64) - 1
        info = pending.create_unwind_info(_FrameId(stack, counter))
        for index, name in enumerate(_REGISTERS):
            data = gdb.selected_inferior().read_memory(start + _CONTEXT + 8 * index, 8).tobytes()
            info.add_saved_register(name, gdb.Value(data, pending.read_register(name).type))
        return info


def register() -> None:
    """Use it for all cores."""
    gdb.unwinder.register_unwinder(None, Unwinder(), replace=True)
