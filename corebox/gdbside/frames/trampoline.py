"""Runs inside gdb: unwinds through Go's signal trampoline.

Its unwind information describes an ordinary function, and gdb believes it: the stack would end where the signal came.
"""

import gdb
import gdb.unwinder
import unwinder

# mov $15,%rax or %eax; syscall: rt_sigreturn(2) on x86-64.
_CODES = (b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", b"\xb8\x0f\x00\x00\x00\x0f\x05")
# Registers within rt_sigframe, from the stack pointer in the trampoline (uapi/asm/sigcontext.h).
_REGISTERS = (
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp", "rip",
)  # fmt: skip
_CONTEXT = 40


class _FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


def is_trampoline(frame):
    """Whether a frame is one."""
    return frame.architecture().name() == "i386:x86-64" and _reads(int(frame.pc()) & (1 << 64) - 1)


def _reads(address):
    try:
        code = gdb.selected_inferior().read_memory(address, 9).tobytes()
        return code.startswith(_CODES) and gdb.execute(f"info symbol {address}", to_string=True).startswith("runtime.")
    except (gdb.error, gdb.MemoryError, OverflowError):
        return False


class Unwinder(gdb.unwinder.Unwinder):
    """From the trampoline to the frame that the signal interrupted."""

    def __init__(self):
        super().__init__("corebox signal trampoline")

    def __call__(self, pending):
        """What gdb asks of each frame."""
        if pending.architecture().name() != "i386:x86-64":
            return None
        counter = pending.read_register("rip")
        if not _reads(int(counter) & (1 << 64) - 1):
            return None
        if hasattr(pending, "level"):  # new in gdb 14
            unwinder.evidence.trampolines.add((unwinder.thread_number(), pending.level()))
        stack = pending.read_register("rsp")
        start = int(stack) & (1 << 64) - 1
        info = pending.create_unwind_info(_FrameId(stack, counter))
        for index, name in enumerate(_REGISTERS):
            data = gdb.selected_inferior().read_memory(start + _CONTEXT + 8 * index, 8).tobytes()
            info.add_saved_register(name, gdb.Value(data, pending.read_register(name).type))
        return info


def register():
    """Use it for all cores."""
    gdb.unwinder.register_unwinder(None, Unwinder(), replace=True)
