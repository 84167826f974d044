"""Rust's panics, with and without names."""

import struct

from corebox.gdbside.why.facts import Cause, Fault
from corebox.gdbside.why.rust import rust_panic
from tests.unit.gdbside.standin import DATA, HEAP, STACK, StandIn, fault, words

SP = STACK + 0x8000
PANIC = (
    "abort",
    "rust_panic",
    "std::panicking::begin_panic_handler",
    "core::panicking::panic_fmt",
    "acme::pay",
    "main",
)
PLACE, WORDS = DATA + 0x800, DATA + 0x900


def data(file: bytes = b"src/pay.rs", text: bytes = b"no money left") -> bytes:
    """Constant data: a Location at ``PLACE``, and a text."""
    made = bytearray(0x1000)
    made[0x800:0x818] = struct.pack("<QQII", DATA + 0x850, len(file), 12, 5)
    made[0x850 : 0x850 + len(file)] = file
    made[0x900 : 0x900 + len(text)] = text
    made[0x980:0x990] = words(WORDS, len(text))
    return bytes(made)


def panic(stack: bytes, names: tuple[str, ...] = PANIC, heap: bytes = b"", constant: bytes | None = None) -> Fault:
    memory = {SP: stack + bytes(64 << 10), DATA: constant or data(), HEAP: heap.ljust(0x21000, b"\0")}
    levels = [SP + 0x40 * level for level in range(len(names))]
    return fault(6, -6, sender=100, names=names, asked=StandIn({"sp": SP}, memory, levels=levels))


def told(made: Fault) -> Cause:
    found = rust_panic(made)
    assert found is not None
    return found


def test_what_was_printed() -> None:
    text = b"thread 'main' panicked at src/pay.rs:12:5:\nno money left: 7\nnote: run with\n"
    found = told(panic(b"", heap=bytes(64) + text))
    assert found.sentence == "Rust panic at src/pay.rs:12:5: no money left: 7"
    assert found.detail == "no money left: N"
    assert list(found.evidence) == ["rust_panic is on the stack", "panicked in acme::pay", "at src/pay.rs:12:5"]


def test_the_place_that_the_stack_points_to() -> None:
    assert told(panic(words(3, PLACE))).sentence == "Rust panic at src/pay.rs:12:5"


def test_a_place_of_the_program_comes_before_one_of_its_library() -> None:
    constant = bytearray(data(b"/rustc/1/library/core/src/option.rs"))
    constant[0xA00:0xA18] = struct.pack("<QQII", DATA + 0xA50, 10, 7, 9)
    constant[0xA50:0xA5A] = b"src/pay.rs"
    assert told(panic(words(PLACE, DATA + 0xA00), constant=bytes(constant))).sentence.endswith("at src/pay.rs:7:9")
    assert "option.rs:12:5" in told(panic(words(PLACE), constant=bytes(constant))).sentence


def test_a_payload_that_is_a_string() -> None:
    stack = words(HEAP + 0x100, 13, 13)
    found = told(panic(stack, heap=bytes(0x100) + b"no money left"))
    assert found.sentence == "Rust panic: no money left"


def test_a_message_without_arguments() -> None:
    level = 0x40 * 2
    pieces = bytes(level) + words(DATA + 0x980, 1)
    assert told(panic(pieces)).sentence == "Rust panic: no money left"
    template = bytes(level) + words(WORDS, 13 * 2 + 1)
    assert told(panic(template)).sentence == "Rust panic: no money left"
    inside = bytes(level) + words(SP + 0x40 * 4 + 8) + bytes(0x78) + words(0, WORDS, 27)
    assert told(panic(inside)).sentence == "Rust panic: no money left"


def test_a_message_of_an_older_edition() -> None:
    names = ("abort", "rust_panic", "std::panicking::begin_panic", "acme::pay")
    stack = bytes(0x40 * 2) + words(WORDS, 13)
    assert told(panic(stack, names)).sentence == "Rust panic: no money left"


def test_a_stripped_program_with_the_place_on_its_stack() -> None:
    found = told(panic(words(PLACE), ("raise", "abort", "", "", "main")))
    assert found.sentence == "Rust panic at src/pay.rs:12:5"


def test_what_is_none() -> None:
    assert rust_panic(panic(words(3), ("raise", "abort", "", ""))) is None
    assert rust_panic(panic(words(PLACE), ("raise", "abort", "acme_pay", "main"))) is None
    assert rust_panic(fault(11, names=["", ""])) is None


def test_a_place_that_is_none() -> None:
    for at, value in ((0x808, words(3)), (0x810, bytes(8)), (0x850, b"\xff\xff")):
        constant = bytearray(data())
        constant[at : at + len(value)] = value
        assert told(panic(words(PLACE), constant=bytes(constant))).sentence == "Rust panic"


def test_without_a_stack() -> None:
    made = fault(6, names=PANIC, asked=StandIn({"sp": 0x10}))
    assert told(made).sentence == "Rust panic"
    assert told(fault(6, names=PANIC, asked=StandIn())).sentence == "Rust panic"
