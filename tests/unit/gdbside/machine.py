"""A process with code, a stack and unwind information that a test writes down, as unwinding sees it."""

import struct
from collections.abc import Mapping
from typing import Any

import pytest

from corebox.gdbside.frames import cfi, hotspot
from corebox.gdbside.frames.codemap import Memory
from corebox.gdbside.memory import mapped
from tests.support import gdbmodule
from tests.unit.gdbside import standin
from tests.unit.gdbside.standin import CODE, STACK, TEXT, WRITE

#: Code that no file is mapped to.
JIT = 0x700000
SIZE = 0x10000
#: The CFA is the stack pointer and 24; the return address is below it.
BY_STACK = b"\x0c\x07\x18\x90\x01"
#: The CFA is the frame pointer and 16, where that was saved, too.
BY_BASE = b"\x0c\x06\x10\x86\x02\x90\x01"


class Known(Memory):
    """The core's memory; what has unwind information, and what HotSpot made, is given."""

    def __init__(self) -> None:
        super().__init__()
        self.compiled: list[cfi.Entry] = []
        self.java: dict[range, hotspot.Blob] = {}

    def entry(self, pc: int) -> cfi.Entry | None:
        return next((each for each in self.compiled if each.start <= pc < each.end), None)

    def compiled_java(self, pc: int) -> hotspot.Blob | None:
        return next((blob for code, blob in self.java.items() if pc in code), None)


class Machine:
    """The process, and gdb that has its core open."""

    def __init__(self, gdb: gdbmodule.State, monkeypatch: pytest.MonkeyPatch, bits: int = 64) -> None:
        core = standin.core(
            (TEXT, TEXT + SIZE, CODE, "/opt/acme/app"),
            (JIT, JIT + SIZE, CODE),
            (STACK, STACK + 2 * SIZE, WRITE),
            bits=bits,
        )
        monkeypatch.setattr(mapped, "opened", lambda: core)
        self.gdb, self.word = gdb, bits // 8
        self.runs = {TEXT: bytearray(SIZE), JIT: bytearray(SIZE), STACK: bytearray(SIZE)}
        gdb.memory = standin.Memory(self.runs)
        gdb.open(gdbmodule.thread(1, gdbmodule.Frame(TEXT)))
        self.known = Known()
        self.instructions: dict[int, tuple[int, str]] = {}

    def put(self, address: int, data: bytes) -> None:
        """Bytes at an address."""
        start = max(each for each in self.runs if each <= address)
        self.runs[start][address - start : address - start + len(data)] = data

    def words(self, address: int, *values: int) -> None:
        """Words at an address."""
        self.put(address, struct.pack(f"<{len(values)}{'Q' if self.word == 8 else 'I'}", *values))

    def code(self, start: int, *instructions: tuple[bytes, str]) -> int:
        """Instructions from an address on; where they end."""
        for data, text in instructions:
            self.put(start, data)
            self.instructions[start] = len(data), text
            start += len(data)
        return start

    def compile(self, start: int, size: int, rules: bytes, register: int = 16, factor: int = -8) -> cfi.Entry:
        """Let a function have unwind information."""
        common = cfi.Common(1, factor, 0, False, register, rules)
        self.known.compiled.append(cfi.Entry(start, start + size, common, b"", ("<", self.word)))
        return self.known.compiled[-1]

    def function(self, start: int, size: int = 0x100) -> None:
        """Let gdb have a symbol for some code."""
        self.gdb.addresses.update({pc: f"{pc:#x} <f{start:x}+{pc - start}>" for pc in range(start, start + size)})

    def pending(self, pc: int, registers: Mapping[str, int], name: str, level: int = 0) -> Any:
        """The frame that gdb asks about."""
        processor = gdbmodule.Architecture(name, code=self.instructions)
        frame = gdbmodule.Frame(pc, registers=registers, processor=processor)
        frame.level_ = level
        return gdbmodule.PendingFrame(frame)


def call(at: int, target: int) -> bytes:
    """The instruction at ``at`` of x86 that calls ``target``."""
    return b"\xe8" + (target - at - 5).to_bytes(4, "little", signed=True)
