"""What gdb would tell, as plain data."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from corebox.coredump.header import Header
from corebox.coredump.values import FileMapping, Segment
from corebox.gdbside.frames.siginfo import Signal
from corebox.gdbside.memory.mapped import PF_R, PF_W, PF_X, MappedCore
from corebox.gdbside.why.facts import Fault, Goroutine, Place

READ, WRITE, CODE = PF_R, PF_R | PF_W, PF_R | PF_X
STACK, HEAP, TEXT, DATA = 0x7FFE0000, 0x555000, 0x400000, 0x600000


def header(bits: int = 64, order: str = "<") -> Header:
    """Of a core."""
    return Header(bits, order, 4, 62, 64, 0, 56, 0, 0, 0, 0)


def core(
    *mappings: tuple[int, int, int] | tuple[int, int, int, str],
    bits: int = 64,
    order: str = "<",
    signal: int | None = None,
) -> MappedCore:
    """With memory from, to, with these rights, of this file."""
    segments = [Segment(1, each[2], 0, each[0], each[1] - each[0], each[1] - each[0]) for each in mappings]
    files = [FileMapping(each[0], each[1], 0, each[3], False) for each in mappings if len(each) == 4]
    return MappedCore(header(bits, order), segments, files, signal)


#: A program's code and data, a heap, a stack with its guard page below.
USUAL = core(
    (TEXT, TEXT + 0x10000, CODE, "/opt/acme/app"),
    (DATA, DATA + 0x10000, READ, "/opt/acme/app"),
    (HEAP, HEAP + 0x21000, WRITE),
    (STACK - 0x1000, STACK, 0),
    (STACK, STACK + 0x20000, WRITE),
)


class Memory:
    """Runs of bytes by address."""

    def __init__(self, runs: Mapping[int, bytes]) -> None:
        self.runs = dict(runs)

    def read(self, address: int, size: int) -> bytes | None:
        """Memory, if all of it is in one run."""
        for start, data in self.runs.items():
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        return None

    def search(self, address: int, size: int, mark: bytes) -> int | None:
        """Where these bytes are."""
        found = [
            start + at
            for start, data in self.runs.items()
            if (at := data.find(mark, max(0, address - start))) >= 0 and address <= start + at < address + size
        ]
        return min(found, default=None)


class StandIn(Memory):
    """A debugger that knows what it is given."""

    def __init__(
        self,
        registers: Mapping[str, int] | None = None,
        memory: Mapping[int, bytes] | None = None,
        instructions: Mapping[int, str] | None = None,
        values: Mapping[str, Any] | None = None,
        symbols: Mapping[int, str] | None = None,
        names: Mapping[str, str] | None = None,
        stacks: Mapping[int, int] | None = None,
        variables: Mapping[tuple[int, str], Any] | None = None,
        levels: Sequence[int] = (),
        callees: Mapping[int, str] | None = None,
        arrays: Mapping[int, Sequence[str]] | None = None,
        routines: Sequence[Goroutine] = (),
        log: bytes | None = None,
    ) -> None:
        super().__init__(memory or {})
        self.routines, self.log = routines, log
        self.registers, self.instructions, self.values = registers or {}, instructions or {}, values or {}
        self.symbols, self.names, self.threads = symbols or {}, names or {}, stacks or {}
        self.variables, self.levels = variables or {}, levels
        self.called, self.owners = callees or {}, arrays or {}

    def register(self, name: str) -> int | None:
        return self.registers.get(name)

    def instruction(self, address: int) -> str | None:
        return self.instructions.get(address)

    def symbol(self, address: int) -> str:
        return self.symbols.get(address, "No symbol matches.")

    def demangled(self, name: str) -> str:
        return self.names.get(name, name)

    def variable(self, level: int, name: str) -> Any:
        return self.variables.get((level, name))

    def value(self, expression: str) -> Any:
        return self.values.get(expression)

    def goroutines(self) -> Sequence[Goroutine]:
        return self.routines

    def go_log(self) -> bytes | None:
        return self.log

    def stacks(self) -> Mapping[int, int]:
        return self.threads

    def callee(self, level: int) -> str | None:
        return self.called.get(level)

    def arrays(self, level: int) -> Sequence[str]:
        return self.owners.get(level, ())

    def stack_of(self, level: int) -> int | None:
        return self.levels[level] if level < len(self.levels) else None


def fault(
    signal: int | None,
    code: int | None = 1,
    address: int | None = None,
    *,
    sender: int | None = None,
    names: Iterable[str] = ("work", "main"),
    handlers: Iterable[str] = (),
    counter: int = TEXT + 0x100,
    machine: str = "i386:x86-64",
    memory: MappedCore = USUAL,
    asked: StandIn | None = None,
    interrupted: int = 0,
) -> Fault:
    """A fault of a thread 1 of process 100."""
    asked = asked or StandIn({"sp": STACK + 0x1000})
    place = Place(1, 100, 100, frozenset((100, 101)), interrupted)
    info = Signal(signal, code, address, sender)
    return Fault(memory, asked, machine, place, list(names), list(handlers), info, counter)


def words(*values: int) -> bytes:
    """Words of 64 bits."""
    return struct.pack(f"<{len(values)}Q", *values)
