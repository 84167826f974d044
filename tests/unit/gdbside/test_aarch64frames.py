"""Where the caller of aarch64 code is: by the link register, by frame records, and over the linker's lazy binding."""

from typing import Any

import pytest

from corebox.gdbside.frames.aarch64frames import Aarch64Frame, from_trampoline
from corebox.gdbside.frames.evidence import evidence
from tests.support import gdbmodule
from tests.unit.gdbside.machine import Machine
from tests.unit.gdbside.standin import STACK, TEXT

SP, BASE = STACK + 0x1000, STACK + 0x1100
OUTER, INNER, HERE = TEXT + 0x1000, TEXT + 0x2000, TEXT + 0x3000
#: x29 and x30 are saved at the lowest of the 48 bytes of the frame.
RECORD = b"\x0c\x1f\x30\x9d\x06\x9e\x05"


@pytest.fixture
def machine(gdb: gdbmodule.State, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(gdb, monkeypatch)


def calls(machine: Machine, at: int, target: int | None) -> int:
    """Let code call another, or what a register says; where that returns to."""
    word = 0xD63F0100 if target is None else 0x94000000 | (target - at) // 4 & 0x03FFFFFF
    machine.put(at, word.to_bytes(4, "little"))
    return at + 4


def unwind(machine: Machine, exact: bool = False, **registers: int) -> dict[str, int] | None:
    """The caller's registers, or None."""
    info: Any = Aarch64Frame(machine.known, machine.pending(HERE, registers, "aarch64"), HERE).unwind(exact)
    return None if info is None else {name: int(value) for name, value in info.saved.items()}


def test_code_that_has_called_nothing_is_where_its_link_register_says(machine: Machine) -> None:
    link = calls(machine, OUTER, None)
    machine.compile(OUTER, 0x100, RECORD, register=30)
    assert unwind(machine, True, sp=SP, x29=BASE, x30=link) == {"pc": link, "x29": BASE, "sp": BASE}
    assert evidence.found == {(1, 0): "call"}
    assert unwind(machine, False, sp=SP, x29=BASE, x30=link) is None


def test_a_link_register_behind_no_call_is_not_believed(machine: Machine) -> None:
    machine.compile(OUTER, 0x100, RECORD, register=30)
    assert unwind(machine, True, sp=SP, x29=BASE, x30=OUTER + 8) is None


def test_without_its_registers_a_frame_is_left_to_gdb(machine: Machine) -> None:
    assert unwind(machine, sp=SP) is None
    assert unwind(machine, x29=BASE) is None


def test_a_frame_record_leads_to_the_caller(machine: Machine) -> None:
    back = calls(machine, OUTER, None)
    machine.words(BASE, BASE + 0x40, back)
    assert unwind(machine, sp=SP, x29=BASE) == {"pc": back, "x29": BASE + 0x40, "sp": BASE + 16}
    assert evidence.found == {(1, 0): "frame-pointer"}


def test_the_stack_pointer_of_a_compiled_caller_follows_from_its_own_record(machine: Machine) -> None:
    back = calls(machine, OUTER, None)
    machine.compile(OUTER, 0x100, b"\x0c\x1f\x30\x9d\x04\x9e\x03", register=30)  # 16 bytes above the stack pointer
    machine.words(BASE, BASE + 0x40, back)
    assert unwind(machine, sp=SP, x29=BASE) == {"pc": back, "x29": BASE + 0x40, "sp": BASE + 0x30}


@pytest.mark.parametrize(
    ("base", "outer", "address"),
    [
        (BASE + 4, 0, OUTER + 4),
        (SP - 0x10, 0, OUTER + 4),
        (STACK - 0x10, 0, OUTER + 4),
        (BASE, BASE - 0x10, OUTER + 4),
        (BASE, BASE + 4, OUTER + 4),
        (BASE, 0, STACK),
        (BASE, 0, OUTER + 0x40),
    ],
    ids=["unaligned", "below", "elsewhere", "descends", "leads to unaligned", "no code", "no call"],
)
def test_a_record_that_is_not_sound_is_not_followed(machine: Machine, base: int, outer: int, address: int) -> None:
    calls(machine, OUTER, None)
    if base >= STACK:
        machine.words(base, outer, address)
    assert unwind(machine, sp=SP, x29=base) is None


def test_a_record_of_the_function_that_called_tells_where_that_called_from(machine: Machine) -> None:
    machine.compile(INNER, 0x100, RECORD, register=30)
    machine.words(BASE, 0, calls(machine, OUTER, INNER))
    assert unwind(machine, sp=SP, x29=BASE) is None  # nothing tells where
    back = calls(machine, INNER + 0x20, None)
    machine.words(SP + 0x20, back)
    assert unwind(machine, sp=SP, x29=BASE) == {"pc": back, "x29": BASE, "sp": BASE}


# Where the linker's lazy binding saves the return address above its frame.

#: The CFA is sp + 16, x29 is below it, x30 8 bytes above.
ABOVE = b"\x0c\x1f\x10\x9d\x02\x11\x1e\x7f"


def test_the_caller_of_lazy_binding_has_its_own_stack_pointer(machine: Machine) -> None:
    entry = machine.compile(HERE, 0x100, ABOVE, register=30)
    machine.words(SP, 0x29, 0, 0, OUTER + 4)
    pending = machine.pending(HERE, {"sp": SP, "x0": 1, "x19": 0x19}, "aarch64")
    info: Any = from_trampoline(machine.known, pending, entry, HERE)
    # What a call may change, x0, is not told.
    assert {name: int(value) for name, value in info.saved.items()} == {
        "x19": 0x19,
        "x29": 0x29,
        "x30": OUTER + 4,
        "sp": SP + 16 + 8 + 8,
        "pc": OUTER + 4,
    }


@pytest.mark.parametrize("rules", [RECORD, b"\x0f\x01\x00"], ids=["below", "an expression"])
def test_a_frame_with_its_return_address_below_is_gdbs(machine: Machine, rules: bytes) -> None:
    entry = machine.compile(HERE, 0x100, rules, register=30)
    assert from_trampoline(machine.known, machine.pending(HERE, {"sp": SP}, "aarch64"), entry, HERE) is None


def test_without_a_stack_pointer_lazy_binding_is_gdbs(machine: Machine) -> None:
    entry = machine.compile(HERE, 0x100, ABOVE, register=30)
    assert from_trampoline(machine.known, machine.pending(HERE, {}, "aarch64"), entry, HERE) is None
