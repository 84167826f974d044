"""Which signal a handler was called for."""

import struct

import pytest

from corebox.gdbside.frames.siginfo import Signal, SignalFrame, signal_of
from tests.unit.gdbside.standin import STACK, TEXT, USUAL, Memory, core

AT, PC = STACK + 0x400, TEXT + 0x100


def siginfo(number: int, code: int, value: int, error: int = 0) -> bytes:
    return struct.pack("<iiiiQ", number, error, code, 0, value).ljust(32, b"\0")


def frame(
    info: bytes = bytes(32),
    trap: int = 0,
    cr2: int = 0,
    code: bytes = b"\x90\x90",
    instruction: str | None = "nop",
    machine: str = "i386:x86-64",
) -> SignalFrame:
    """A frame of the kernel's on x86-64, and the code before the program counter."""
    data = bytearray(512)
    struct.pack_into("<Q", data, 200, trap)
    struct.pack_into("<Q", data, 216, cr2)
    data[304:336] = info
    memory = Memory({AT: bytes(data), PC - 2: code})
    return SignalFrame(machine, AT, PC, USUAL, memory.read, lambda _: instruction)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (frame(siginfo(11, 1, 0x10), trap=14, cr2=0x10), Signal(11, 1, 0x10)),
        (frame(siginfo(6, -6, 100)), Signal(6, -6, None, 100)),
        (frame(siginfo(11, 1, 0x10), code=b"\x0f\x05"), None),
        (frame(siginfo(10, 0, 77), code=b"\x0f\x05"), Signal(10, 0, None, 77)),
        (frame(trap=14, cr2=0x10), Signal(11, 1, 0x10)),
        (frame(trap=14, cr2=TEXT), Signal(11, 2, TEXT)),
        (frame(trap=13), Signal(11, 0x80)),
        (frame(trap=6), Signal(4, None, PC)),
        (frame(siginfo(4, 2, PC), trap=6), Signal(4, 2, PC)),
        (frame(siginfo(10, 0, 77), trap=6), Signal(4, None, PC)),
        (frame(instruction="idiv %ecx"), Signal(8, 1, PC)),
        (frame(instruction=None), None),
        (frame(trap=99), None),
        (frame(siginfo(11, 0x1000, 0)), None),
        (frame(siginfo(99, 1, 0)), None),
        (frame(siginfo(11, 1, 0, error=5)), None),
        (frame(machine="i386")._replace(stack=AT + 600), None),
        (frame(machine="mips"), None),
    ],
)
def test_by_siginfo_and_by_the_processor_s_exception(given: SignalFrame, wanted: Signal | None) -> None:
    assert signal_of(given) == wanted


def test_on_i386_a_pointer_leads_to_it() -> None:
    info = struct.pack("<iiii", 11, 0, 1, 0x10).ljust(32, b"\0")
    runs = {AT: struct.pack("<II", 11, AT + 64), AT + 64: info}
    made = SignalFrame("i386", AT, PC, core(bits=32), Memory(runs).read, lambda _: None)
    assert signal_of(made) == Signal(11, 1, 0x10)
    other = made._replace(read=Memory({**runs, AT: struct.pack("<II", 6, AT + 64)}).read)
    assert signal_of(other) == Signal(6)


def test_on_arm_it_is_at_the_stack_pointer() -> None:
    made = SignalFrame("aarch64", AT, PC, USUAL, Memory({AT: siginfo(7, 2, 0x5000)}).read, lambda _: None)
    assert signal_of(made) == Signal(7, 2, 0x5000)
    assert signal_of(made._replace(stack=0)) is None


def test_an_x86_frame_that_is_not_in_the_core() -> None:
    assert signal_of(frame()._replace(stack=0)) is None
