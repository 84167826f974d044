"""The facts of a fault, read once, as the rules of ``kinds`` are told them.

A failure handler, a sanitizer or a runtime often runs after the fault and then ends the process by abort(3). What went
wrong is what the signal interrupted, so the facts are those of the interrupted frame.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from corebox.gdbside.frames.siginfo import Signal
from corebox.gdbside.memory.mapped import PF_X, MappedCore

SI_KERNEL, SEGV_MAPERR, SEGV_ACCERR = 0x80, 1, 2  # sigaction(2); codes above 0 come from the kernel
SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS = 4, 5, 6, 7, 8, 11, 31
#: What a program receives for something that it did itself.
FATAL = (SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS)
# mmap_min_addr keeps this much free at the bottom, and a member of a null structure is hardly farther away.
NULL_REGION = 0x10000
MAX_FRAMES = 128
_PIECE = 16
_SYSTEM_CALLS = {"x86-64": b"\x0f\x05", "aarch64": b"\x01\x00\x00\xd4", "i386": b"\xcd\x80"}
_REGISTER = re.compile(r"[%$]?\b([a-z][a-z0-9]{1,4})\b")
_RUST_HASH = re.compile(r"::h[0-9a-f]{16}$")
_RAISING = re.compile(r"(__)?(GI_)?(raise|abort|gsignal|pthread_kill|pthread_kill_implementation|tgkill|kill)(@.*)?")
_NAMES = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
    16: "SIGSTKFLT", 17: "SIGCHLD", 18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU",
    23: "SIGURG", 24: "SIGXCPU", 25: "SIGXFSZ", 26: "SIGVTALRM", 27: "SIGPROF", 28: "SIGWINCH", 29: "SIGIO",
    30: "SIGPWR", 31: "SIGSYS",
}  # fmt: skip


class Cause(NamedTuple):
    """The answer: a word, a sentence, what shows it, what is the same in every such crash, and the function named."""

    kind: str
    sentence: str
    evidence: Sequence[str]
    detail: str | None = None
    function: str | None = None


class Goroutine(NamedTuple):
    """A goroutine: whether a thread runs it, the text that it panicked with, its functions, the innermost first."""

    number: int
    runs: bool
    panic: str | None
    functions: tuple[str, ...]


class Debugger(Protocol):
    """What a rule may ask of the interrupted frame and of its process; None for what is not known."""

    def register(self, name: str) -> int | None:
        """A register of the frame, as an unsigned number."""

    def read(self, address: int, size: int) -> bytes | None:
        """Memory, if the core has all of it."""

    def search(self, address: int, size: int, mark: bytes) -> int | None:
        """Where these bytes are in a run of memory."""

    def instruction(self, address: int) -> str | None:
        """The instruction at an address."""

    def symbol(self, address: int) -> str:
        """What gdb says of the symbol at an address."""

    def demangled(self, name: str) -> str:
        """A C++ name; ``name`` is plain: letters, digits, underscores."""

    def callee(self, level: int) -> str | None:
        """The function that a frame has called, counted from the interrupted one, by its call instruction."""

    def arrays(self, level: int) -> Sequence[str]:
        """The functions within a frame's code that have arrays, as far as debug information tells."""

    def stack_of(self, level: int) -> int | None:
        """The stack pointer of a frame, counted from the interrupted one."""

    def variable(self, level: int, name: str) -> Any:
        """A variable of a frame, counted from the interrupted one, as a ``gdb.Value``."""

    def value(self, expression: str) -> Any:
        """The ``gdb.Value`` of an expression of ours."""

    def goroutines(self) -> "Sequence[Goroutine]":
        """All of a Go program, with symbols or without, the one that failed first."""

    def go_log(self) -> bytes | None:
        """What Go's runtime printed of a fatal error, in a program without symbols."""

    def stacks(self) -> Mapping[int, int]:
        """The threads' stack pointers, with gdb's numbers of the threads."""


class Place(NamedTuple):
    """Where it was: gdb's number and the kernel's of the thread, the kernel's of its process and of all its threads.

    ``interrupted`` is the place of the interrupted frame among all frames of the thread, 0 if no handler ran.
    """

    thread: int
    tid: int
    pid: int
    members: frozenset[int]
    interrupted: int = 0


class Fault:
    """The facts of a thread, from the frame that was interrupted on.

    Attributes:
        core: what was mapped; ``machine`` is gdb's name of the processor.
        place: which thread and frame.
        names: the functions from that frame on; ``handlers`` are those before, which ran afterwards.
        signal, code, address, sender: of the signal that interrupted it; None for what the core does not say.
        counter, stack: the program counter and the stack pointer.
        again: a handler has sent the signal again.
    """

    def __init__(
        self,
        core: MappedCore,
        debugger: Debugger,
        machine: str,
        place: Place,
        names: Sequence[str],
        handlers: Sequence[str],
        info: Signal,
        counter: int,
    ) -> None:
        self.core, self.debugger, self.machine, self.place = core, debugger, machine, place
        self.mask = (1 << 8 * core.word) - 1
        self.names, self.handlers = list(names), list(handlers)
        self.signal, self.code, self.sender = info.signal, info.code, info.sender
        self.address = None if info.address is None else info.address & self.mask
        self.counter = counter & self.mask
        self.stack = self.register("sp")
        self.again = not place.interrupted and self._sent_again()
        if self.again:
            self.code = self.address = None

    def register(self, name: str) -> int | None:
        """Its value, or None if the machine has no such register or the frame has not kept it."""
        found = self.debugger.register(name)
        return None if found is None else found & self.mask

    def _sent_again(self) -> bool:
        """Whether a handler sent the signal of a fault to its own process again: it comes when the handler is done.

        The fault is then what would happen at the instruction; a program that sends itself one is in a system call.
        """
        if self.code is None or self.code > 0 or self.signal not in (SIGILL, SIGBUS, SIGFPE, SIGSEGV):
            return False
        call = next((code for name, code in _SYSTEM_CALLS.items() if name in self.machine), None)
        own = self.sender in (self.place.pid, self.place.tid)
        return bool(own and call and self.read(self.counter - len(call), len(call)) not in (call, None))

    def runs(self, *names: str) -> str | None:
        """The innermost of these functions on the stack, or None."""
        return next((name for name in self.names if name in names), None)

    def runs_like(self, pattern: str) -> str | None:
        """The innermost function whose name begins so, or None."""
        return next((name for name in self.names if re.match(pattern, name)), None)

    def instruction(self) -> str:
        """The instruction that was to run, or "" if its bytes are not in the core."""
        return " ".join((self.debugger.instruction(self.counter) or "").split())

    def registers(self, text: str | None = None) -> Iterator[tuple[str, int]]:
        """Name and value of the registers that the instruction names, or a part of it, ``text``."""
        for name in dict.fromkeys(_REGISTER.findall(self.instruction() if text is None else text)):
            value = self.register(name)
            if value is not None:
                yield name, value

    def read(self, address: int, size: int) -> bytes | None:
        """Memory, or None if the core does not have all of it."""
        return self.debugger.read(address, size)

    def word(self, address: int) -> int | None:
        """A pointer in memory, or None."""
        return self.number(address, self.core.word)

    def number(self, address: int, size: int, signed: bool = False) -> int | None:
        """A number of so many bytes in memory, or None."""
        data = self.read(address, size)
        return None if data is None else int.from_bytes(data, self.core.byte_order, signed=signed)

    def string(self, address: int, longest: int) -> str | None:
        """The text at an address, as far as the core has it; None if it has none of it."""
        found = b""
        while b"\0" not in found and len(found) < longest:
            piece = self.read(address + len(found), _PIECE)
            if piece is None:
                break
            found += piece
        return found.split(b"\0")[0][:longest].decode("utf-8", "replace") if found else None

    def pointer(self, symbol: str) -> int | None:
        """A variable of the program that is a pointer, or None if there is no such symbol."""
        found = self.debugger.value(f"*(char **) &{symbol}")
        return None if found is None else int(found) & self.mask

    def executable(self, address: int) -> bool:
        """Whether code is mapped there."""
        mapping = self.core.at(address)
        return mapping is not None and bool(mapping.flags & PF_X)

    @property
    def handled(self) -> list[str]:
        """What shows that a handler ran after the fault."""
        if self.again:
            return [f"{signal_name(self.signal)} was sent again by a signal handler of the process, after the fault"]
        if not self.place.interrupted:
            return []
        named = [name for name in self.handlers if name and not _RAISING.fullmatch(name) and not name.startswith("__")]
        ended = f", and ended the process from {named[0]}" if named else ""
        return [f"a signal handler ran afterwards{ended}: frames 0 to {self.place.interrupted - 1} are not the cause"]

    def runs_after(self, prefix: str) -> bool:
        """Whether a function that begins so is on the stack, a handler's included."""
        return any(name.startswith(prefix) for name in self.handlers + self.names)


def signal_name(number: int | None) -> str:
    """``SIGSEGV``, as Linux numbers them on most machines."""
    return f"signal {number}" if number is None else _NAMES.get(number, f"signal {number}")


def hexadecimal(value: int) -> str:
    """An address in words."""
    return f"0x{value:x}"


def plain(name: str | None) -> str:
    """A function's name without parameters, which C++ has in it without debug information, and without Rust's hash."""
    if not name:
        return ""
    if name.startswith("<"):
        return _RUST_HASH.sub("", name)
    return _RUST_HASH.sub("", name.replace("(anonymous namespace)", "{anonymous}").partition("(")[0])
