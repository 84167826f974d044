"""Runs inside gdb: the facts of a fault, read once.

A failure handler, a sanitizer or a runtime often runs after the fault and then ends the process by abort(3). What went
wrong is what the signal interrupted, so the facts are those of the interrupted frame.
"""

import re
from typing import NamedTuple

import gdb

from corebox.gdbside.frames import callers, sigframe
from corebox.gdbside.memory import corefile

SI_KERNEL, SEGV_MAPERR, SEGV_ACCERR = 0x80, 1, 2  # sigaction(2); codes above 0 come from the kernel
SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS = 4, 5, 6, 7, 8, 11, 31
#: What a program receives for something that it did itself.
FATAL = (SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS)
# mmap_min_addr keeps this much free at the bottom, and a member of a null structure is hardly farther away.
NULL_REGION = 0x10000
MOST_FRAMES, MOST_OF_HANDLERS = 128, 2048
_GREATEST_SIGNAL = 127  # on MIPS; 64 elsewhere
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
    """The answer: a word, a sentence, what shows it, and what is the same in every such crash."""

    kind: str
    sentence: str
    evidence: list
    detail: str = None


class Fault:
    """The facts of the selected thread, from the frame that was interrupted on.

    Attributes:
        index: that frame's place among all frames of the thread; 0 if no handler ran.
        names: the functions from there on; ``handlers`` are those before, which ran afterwards.
        signal, code, address, sender: of the signal that interrupted it; None for what the core does not say.
    """

    def __init__(self):
        self.core = corefile.CoreFile()
        self.mask = (1 << 8 * self.core.word) - 1
        self.thread = gdb.selected_thread()
        frames = _frames()
        names = [plain(callers.place(frame)[0]) for frame in frames]
        self.index, info = 0, _siginfo(self.core)
        for at, found in sigframe.signals(frames, self.core):
            reason = found or _guessed(names[at + 1 : at + 4])
            if reason and reason.signal in FATAL and at + 1 < len(frames):
                self.index, info = at + 1, reason
        self.signal, self.code, address, self.sender = info
        self.address = None if address is None else address & self.mask
        self.frames, self.names = frames[self.index :], names[self.index :]
        self.handlers = names[: max(self.index - 1, 0)]
        self.frame = self.frames[0]
        self.counter = int(self.frame.pc()) & self.mask
        self.stack = self.register("sp")
        self.again = not self.index and self._sent_again()
        if self.again:
            self.code = self.address = None

    def register(self, name):
        """Its value, or None if the machine has no such register or the frame has not kept it."""
        try:
            return int(self.frame.read_register(name)) & self.mask
        except (ValueError, gdb.error):
            return None

    def _sent_again(self):
        """Whether a handler sent the signal of a fault to its own process again: it comes when the handler is done.

        The fault is then what would happen at the instruction; a program that sends itself one is in a system call.
        """
        if self.code is None or self.code > 0 or self.signal not in (SIGILL, SIGBUS, SIGFPE, SIGSEGV):
            return False
        own = gdb.selected_inferior().pid == self.sender or self.sender == self.thread.ptid[1]
        machine = self.frame.architecture().name()
        call = _SYSTEM_CALLS.get(next((each for each in _SYSTEM_CALLS if each in machine), None))
        return bool(own and call and self.read(self.counter - len(call), len(call)) not in (call, None))

    def runs(self, *names):
        """The innermost of these functions on the stack, or None."""
        return next((name for name in self.names if name in names), None)

    def runs_like(self, pattern):
        """The innermost function whose name begins so, or None."""
        return next((name for name in self.names if re.match(pattern, name)), None)

    def instruction(self):
        """The instruction that was to run, or "" if its bytes are not in the core."""
        try:
            return " ".join(self.frame.architecture().disassemble(self.counter)[0]["asm"].split())
        except (gdb.error, IndexError):
            return ""

    def registers(self, text=None):
        """Name and value of the registers that the instruction names, or a part of it, ``text``."""
        for name in dict.fromkeys(_REGISTER.findall(self.instruction() if text is None else text)):
            value = self.register(name)
            if value is not None:
                yield name, value

    def read(self, address, size):
        """Memory, or None if the core does not have all of it."""
        try:
            return gdb.selected_inferior().read_memory(address, size).tobytes()
        except (gdb.MemoryError, OverflowError, ValueError):
            return None

    def word(self, address):
        """A pointer in memory, or None."""
        data = self.read(address, self.core.word)
        return None if data is None else int.from_bytes(data, self.core.byte_order)

    def executable(self, address):
        """Whether code is mapped there."""
        mapping = self.core.at(address)
        return mapping is not None and bool(mapping.flags & corefile.PF_X)

    @property
    def handled(self):
        """What shows that a handler ran after the fault."""
        if self.again:
            return [f"{signal_name(self.signal)} was sent again by a signal handler of the process, after the fault"]
        if not self.index:
            return []
        named = [name for name in self.handlers if name and not _RAISING.fullmatch(name) and not name.startswith("__")]
        ended = f", and ended the process from {named[0]}" if named else ""
        return [f"a signal handler ran afterwards{ended}: frames 0 to {self.index - 1} are not the cause"]

    def runs_after(self, prefix):
        """Whether a function that begins so is on the stack, a handler's included."""
        return any(name.startswith(prefix) for name in self.handlers + self.names)


def signal_name(number):
    """``SIGSEGV``, as Linux numbers them on most machines."""
    return _NAMES.get(number, f"signal {number}")


def hexadecimal(value):
    """An address in words."""
    return f"0x{value:x}"


def plain(name):
    """A function's name without parameters, which C++ has in it without debug information, and without Rust's hash."""
    if not name:
        return ""
    if name.startswith("<"):
        return _RUST_HASH.sub("", name)
    return _RUST_HASH.sub("", name.replace("(anonymous namespace)", "{anonymous}").partition("(")[0])


def _frames():
    found, frame, most = [], gdb.newest_frame(), MOST_FRAMES
    try:
        while frame is not None and len(found) < most:
            found.append(frame)
            if frame.type() == gdb.SIGTRAMP_FRAME:  # what was interrupted is what matters
                most = min(len(found) + MOST_FRAMES, MOST_OF_HANDLERS)
            frame = frame.older()
    except gdb.error:
        pass  # what is below a damaged frame is not known
    return found


def _siginfo(core):
    """That of the core, which it died of."""
    try:
        info = gdb.parse_and_eval("$_siginfo")
        signal, code = int(info["si_signo"]), int(info["si_code"])
        if "mips" in gdb.selected_inferior().architecture().name():  # there the code comes before the error number
            code = int(info["si_errno"])
    except gdb.error:
        return sigframe.Signal(core.signal, None, None, None)
    if not 0 < signal <= _GREATEST_SIGNAL:  # other systems have other layouts
        return sigframe.Signal(core.signal, None, None, None)
    fields = info["_sifields"]
    sender = int(fields["_kill"]["si_pid"]) if code <= 0 else None
    address = int(fields["_sigfault"]["si_addr"]) if code > 0 and code != SI_KERNEL else None
    return sigframe.Signal(signal, code, address, sender)


def _guessed(names):
    """The signal of a handler whose frame does not say: an abort, if that is what was interrupted."""
    if not {"abort", "__GI_abort"}.isdisjoint(names):
        return sigframe.Signal(SIGABRT, -6, None, gdb.selected_inferior().pid)
    return None
