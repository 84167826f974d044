"""The processors whose stacks are proved: how each calls a function, and returns from a signal handler."""

from collections.abc import Callable
from typing import NamedTuple

from corebox.gdbside.frames import aarch64, ppc64, riscv64, s390x, x86


class Processor(NamedTuple):
    """What is known of a processor.

    Attributes:
        word: bytes of an address.
        max_call_length: bytes before a return address that ``is_call`` is given.
        is_call: whether they end with a call.
        signal_returns: instructions of which one begins what returns from a signal handler; gdb knows the trampolines
            by them, too (gdb/amd64-linux-tdep.c and its like).
    """

    word: int
    max_call_length: int
    is_call: Callable[[bytes], bool]
    signal_returns: tuple[bytes, ...]


AMD64, I386, AARCH64 = "i386:x86-64", "i386", "aarch64"
#: By gdb's names of them.
PROCESSORS = {
    AMD64: Processor(8, x86.MAX_CALL_LENGTH, x86.is_call, x86.SIGNAL_RETURNS[8]),
    I386: Processor(4, x86.MAX_CALL_LENGTH, x86.is_call, x86.SIGNAL_RETURNS[4]),
    AARCH64: Processor(8, aarch64.CALL_LENGTH, aarch64.is_call, aarch64.SIGNAL_RETURNS),
    "powerpc:common64": Processor(8, ppc64.CALL_LENGTH, ppc64.is_call, ppc64.SIGNAL_RETURNS),
    "s390:64-bit": Processor(8, s390x.MAX_CALL_LENGTH, s390x.is_call, s390x.SIGNAL_RETURNS),
    "riscv:rv64": Processor(8, riscv64.MAX_CALL_LENGTH, riscv64.is_call, riscv64.SIGNAL_RETURNS),
}
