"""Where the caller of x86 code without unwind information is, and when it is not told rather than guessed."""

from collections.abc import Iterator
from typing import Any

import pytest

from corebox.gdbside.frames.evidence import evidence
from corebox.gdbside.frames.hotspot import Blob
from corebox.gdbside.frames.x86frames import X86Frame
from tests.support import gdbmodule
from tests.unit.gdbside.machine import BY_BASE, BY_STACK, JIT, Machine, call
from tests.unit.gdbside.standin import STACK, TEXT

SP = STACK + 0x1000
#: Compiled functions: one that calls another, which calls code without unwind information.
OUTER, INNER, HERE = TEXT + 0x1000, TEXT + 0x2000, TEXT + 0x3000
BY_REGISTER = b"\xff\xd0"  # call *%rax
PUSH_BASE, MOVE, ROOM = (
    (b"\x55", "push %rbp"),
    (b"\x48\x89\xe5", "mov %rsp,%rbp"),
    (b"\x48\x83\xec\x20", "sub $0x20,%rsp"),
)


@pytest.fixture
def machine(gdb: gdbmodule.State, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    evidence.forget()
    yield Machine(gdb, monkeypatch)
    evidence.forget()


def frame(machine: Machine, pc: int, bp: int | None = 0, sp: int = SP, level: int = 0) -> X86Frame:
    names = ("rsp", "rbp") if machine.word == 8 else ("esp", "ebp")
    registers = {name: value for name, value in zip(names, (sp, bp), strict=True) if value is not None}
    if machine.word == 4:
        registers["eip"] = pc
    named = "i386:x86-64" if machine.word == 8 else "i386"
    return X86Frame(machine.known, machine.pending(pc, registers, named, level), pc)


def caller(info: Any, how: str) -> dict[str, int]:
    """The registers of the caller that was found this way."""
    assert evidence.found == {(1, 0): how}
    assert evidence.ends == {}
    return {name: int(value) for name, value in info.saved.items()}


def reason(info: Any, pc: int) -> str:
    """Why there is no caller: gdb is told of the same frame again."""
    assert int(info.saved["rip"]) == pc
    assert evidence.found == {}
    return evidence.ends[1][0]


def calls(machine: Machine, at: int, target: int | None) -> int:
    """Let code call another; where that returns to."""
    code = BY_REGISTER if target is None else call(at, target)
    machine.put(at, code)
    return at + len(code)


# A jump to where no code is.


@pytest.mark.parametrize(
    ("target", "below", "how"), [(None, 0x123, "call"), (INNER, 0, "call"), (INNER, 0x123, "prologue")]
)
def test_a_jump_to_no_code_came_from_the_call_on_top_of_the_stack(
    machine: Machine, target: int | None, below: int, how: str
) -> None:
    back = calls(machine, OUTER, target)
    machine.words(SP - 8, below, back)  # a return leaves below the stack pointer where it went
    found = frame(machine, 0x123, bp=0x77).after_bad_jump()
    assert caller(found, how) == {"rip": back, "rsp": SP + 8, "rbp": 0x77}


def test_a_jump_to_no_code_without_a_call_on_the_stack_ends_it(machine: Machine) -> None:
    machine.words(SP, OUTER + 5)
    assert reason(frame(machine, 0x123).after_bad_jump(), 0x123) == (
        "the program counter 0x123 is not in executable memory"
    )


# Without a frame pointer.


def test_before_its_first_instruction_a_function_has_nothing_on_the_stack(machine: Machine) -> None:
    machine.words(SP, OUTER + 5)
    assert caller(frame(machine, INNER, bp=None).of_first_instruction(), "cfi") == {"rip": OUTER + 5, "rsp": SP + 8}
    assert frame(machine, INNER, sp=0x10).of_first_instruction() is None


def test_a_stack_pointer_into_nothing_ends_the_stack(machine: Machine) -> None:
    assert reason(frame(machine, HERE, sp=0x10).unwind(True), HERE) == ("the stack pointer does not point into a stack")


@pytest.mark.parametrize(("target", "how"), [(HERE, "call"), (None, "prologue"), (INNER, "prologue")])
def test_what_a_named_function_has_pushed_lies_below_its_return_address(
    machine: Machine, target: int | None, how: str
) -> None:
    back = calls(machine, OUTER, target)
    machine.function(HERE)
    pc = machine.code(HERE, PUSH_BASE, ROOM)
    machine.words(SP + 0x20, STACK + 0x2000, back)
    found = frame(machine, pc, bp=0x5).unwind(True)
    assert caller(found, how) == {"rip": back, "rsp": SP + 0x30, "rbp": STACK + 0x2000}


def test_of_the_innermost_frame_alone_any_call_on_top_is_believed(machine: Machine) -> None:
    back = calls(machine, OUTER, INNER)
    machine.words(SP, back)
    assert caller(frame(machine, JIT, bp=0x5).unwind(True), "prologue")["rip"] == back
    evidence.forget()
    assert "neither unwind information" in reason(frame(machine, JIT, bp=0x5).unwind(False), JIT)


def test_a_frame_pointer_that_was_pushed_and_not_yet_set_is_on_top(machine: Machine) -> None:
    back = calls(machine, OUTER, None)
    machine.code(JIT, PUSH_BASE, MOVE)
    machine.words(SP, 0x5, back)
    assert caller(frame(machine, JIT + 1, bp=0x5).unwind(True), "prologue") == {"rip": back, "rsp": SP + 16, "rbp": 0x5}


def test_a_call_that_leads_to_code_without_a_name_is_its_caller_if_what_lies_between_fits(machine: Machine) -> None:
    back = calls(machine, OUTER, HERE)
    pc = machine.code(HERE, PUSH_BASE, ROOM)
    machine.words(SP + 0x18, OUTER + 1, STACK + 0x2000, back)
    found = frame(machine, pc, bp=0x5).unwind(False)
    assert caller(found, "call") == {"rip": back, "rsp": SP + 0x30, "rbp": STACK + 0x2000}


def test_a_call_from_further_out_than_the_function_has_pushed_is_another(machine: Machine) -> None:
    machine.words(SP + 0x30, calls(machine, OUTER, HERE))
    pc = machine.code(HERE, PUSH_BASE, ROOM)
    assert "neither unwind information" in reason(frame(machine, JIT, bp=0x5).unwind(False), JIT)
    assert frame(machine, pc, bp=0x5).by_call(SP) is None


# By the frame pointer.


def test_a_frame_pointer_of_0_ends_a_stack_as_it_began_where_functions_keep_one(machine: Machine) -> None:
    assert "as it is when a thread begins" in reason(frame(machine, HERE).unwind(False), HERE)
    assert not evidence.ends[1][1]
    evidence.forget()
    evidence.found[1, 0] = "frame-pointer"
    frame(machine, HERE, level=1).unwind(False)
    assert evidence.ends[1][1]


def chain(machine: Machine, target: int | None, base: int = 0) -> tuple[int, int]:
    """Let a frame pointer lead to a return address behind a call of ``target``; both."""
    back, bp = calls(machine, OUTER + 8, target), SP + 0x100
    machine.words(bp, base, back)
    return back, bp


def test_code_of_a_jit_that_sets_a_frame_pointer_has_its_own(machine: Machine) -> None:
    back, bp = chain(machine, None, base=SP + 0x200)
    pc = machine.code(JIT, PUSH_BASE, MOVE)
    found = frame(machine, pc + 0x40, bp).unwind(False)
    assert caller(found, "frame-pointer") == {"rip": back, "rsp": bp + 16, "rbp": SP + 0x200}


def test_code_of_a_file_is_believed_to_keep_a_frame_pointer(machine: Machine) -> None:
    back, bp = chain(machine, None)
    assert caller(frame(machine, HERE, bp).unwind(False), "frame-pointer") == {"rip": back, "rsp": bp + 16, "rbp": 0}


def test_a_named_function_that_has_set_its_frame_pointer_needs_no_other_proof(machine: Machine) -> None:
    back, bp = chain(machine, INNER)
    machine.function(HERE)
    pc = machine.code(HERE, PUSH_BASE, MOVE, ROOM)
    machine.compile(INNER, 0x100, BY_BASE)
    assert caller(frame(machine, pc, bp).unwind(False), "frame-pointer")["rip"] == back


@pytest.mark.parametrize(
    ("offset", "base", "back"),
    [(4, 0, None), (0, 0x31, None), (0, SP + 0x50, None), (0, 0, 0x123), (0, 0, OUTER + 0x80)],
    ids=["unaligned", "leads to unaligned", "descends", "returns to no code", "returns behind no call"],
)
def test_a_frame_pointer_that_is_not_sound_leads_nowhere(
    machine: Machine, offset: int, base: int, back: int | None
) -> None:
    called, bp = chain(machine, None, base)
    machine.words(bp, base, called if back is None else back)
    assert "nor a valid frame pointer" in reason(frame(machine, HERE, bp + offset).unwind(False), HERE)


def test_a_frame_pointer_beyond_what_the_core_has_of_the_stack_says_so(machine: Machine) -> None:
    machine.runs[STACK][0x1100:] = b""
    found = reason(frame(machine, HERE, SP + 0x200).unwind(False), HERE)
    assert found == f"the stack's memory at {SP + 0x200:#x} is not in the core"


def test_v8_makes_frames_that_return_to_the_beginning_of_a_builtin_or_of_its_copy(machine: Machine) -> None:
    builtin, copy, bp = OUTER + 0x80, OUTER + 0x200, SP + 0x100
    for place in (builtin, copy):
        machine.put(place, bytes(range(48)))
        machine.words(bp, 0, place)
        evidence.forget()
        assert "nor a valid frame pointer" in reason(frame(machine, HERE, bp).unwind(False), HERE)
    name = "(unsigned long) &Builtins_InterpreterEnterAtNextBytecode"
    machine.gdb.values[name] = gdbmodule.Value(builtin)
    for place in (builtin, copy):
        machine.words(bp, 0, place)
        evidence.forget()
        machine.known._v8_entries = None
        assert caller(frame(machine, HERE, bp).unwind(False), "frame-pointer")["rip"] == place


def test_a_compiled_function_may_return_into_a_signal_handlers_return(machine: Machine) -> None:
    bp, trampoline = SP + 0x100, OUTER + 0x10
    machine.compile(OUTER, 0x100, BY_STACK)
    machine.words(bp, 0, trampoline)
    assert not frame(machine, HERE, bp).has_frame_pointer(SP, bp)
    machine.known._starts.clear()
    machine.put(trampoline, b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05")
    assert frame(machine, HERE, bp).has_frame_pointer(SP, bp)


# The frame pointer is still that of a function further out.


@pytest.fixture
def outer(machine: Machine) -> tuple[int, int]:
    """A frame pointer of ``INNER``'s, which ``OUTER`` called, and where ``INNER`` called on by a register."""
    machine.compile(INNER, 0x100, BY_BASE)
    bp = chain(machine, INNER)[1]
    return bp, calls(machine, INNER + 0x20, None)


def test_where_the_function_called_that_the_frame_pointer_is_of_is_the_caller(
    machine: Machine, outer: tuple[int, int]
) -> None:
    bp, back = outer
    machine.words(SP + 0x40, OUTER + 1, back)
    found = frame(machine, JIT + 0x500, bp).unwind(False)
    assert caller(found, "frame-pointer") == {"rip": back, "rsp": SP + 0x50, "rbp": bp}


def test_if_nothing_tells_where_it_called_there_is_no_caller(machine: Machine, outer: tuple[int, int]) -> None:
    found = reason(frame(machine, JIT + 0x500, outer[0]).unwind(False), JIT + 0x500)
    assert found == f"the frame pointer at {JIT + 0x500:#x} is of a function further out"


def test_a_call_from_a_frame_elsewhere_does_not_count(machine: Machine, outer: tuple[int, int]) -> None:
    bp, back = outer
    machine.known.compiled.clear()
    machine.compile(INNER, 0x100, BY_STACK)  # whose frame is below its return address, not at the frame pointer
    machine.words(SP + 0x40, back)
    assert "further out" in reason(frame(machine, JIT + 0x500, bp).unwind(False), JIT + 0x500)


@pytest.mark.parametrize(("times", "found"), [(1, True), (2, False)])
def test_code_without_a_frame_pointer_is_called_by_the_one_call_that_is_proved(
    machine: Machine, times: int, found: bool
) -> None:
    _, bp = chain(machine, None, base=SP + 0x200)
    machine.compile(INNER, 0x100, BY_STACK)
    machine.compile(OUTER, 0x100, BY_BASE)
    back, further = calls(machine, INNER + 0x20, None), calls(machine, OUTER + 0x40, INNER)
    for at in range(SP + 0x20, SP + 0x20 + 0x40 * times, 0x40):
        machine.words(at, back, 0, 0, further)
    machine.words(SP + 0x110, 0, 0)
    answer = frame(machine, JIT + 0x500, bp).unwind(False)
    if found:
        assert caller(answer, "call") == {"rip": back, "rsp": SP + 0x28, "rbp": bp}
    else:
        assert "further out" in reason(answer, JIT + 0x500)


def test_code_of_a_file_without_any_frame_pointer_is_called_by_a_call_of_it(machine: Machine) -> None:
    machine.compile(INNER, 0x100, BY_STACK)
    back, further = calls(machine, INNER + 0x20, HERE), calls(machine, OUTER + 0x40, INNER)
    machine.words(SP + 0x20, back, 0, 0, further)
    answer = frame(machine, HERE + 0x10, bp=0x5).unwind(False)
    assert caller(answer, "call") == {"rip": back, "rsp": SP + 0x28, "rbp": 0x5}
    evidence.forget()
    calls(machine, OUTER + 0x40, OUTER)  # what called the caller called another
    assert "neither" in reason(frame(machine, HERE + 0x10, bp=0x5).unwind(False), HERE + 0x10)


# Code that HotSpot made.


def test_code_of_java_has_frames_of_one_size(machine: Machine) -> None:
    back = calls(machine, OUTER, None)
    machine.known.java[range(JIT, JIT + 0x100)] = Blob(48, JIT + 12, interpreter=False, address=JIT, code=JIT)
    machine.words(SP + 32, 0x99, back)
    assert caller(frame(machine, JIT + 0x20).unwind(True), "runtime") == {"rip": back, "rsp": SP + 48, "rbp": 0x99}
    evidence.forget()
    assert "neither" in reason(frame(machine, JIT + 4, bp=0x5).unwind(True), JIT + 4)  # it is not made yet


@pytest.mark.parametrize(("kept", "stack"), [(0x40, 0x40), (0x8, 0x10), (0x7FFF, 0x10)])
def test_the_interpreter_of_java_keeps_its_senders_stack_pointer(machine: Machine, kept: int, stack: int) -> None:
    back, bp = chain(machine, None, base=SP + 0x200)
    machine.known.java[range(JIT, JIT + 0x100)] = Blob(0, JIT, interpreter=True, address=JIT, code=JIT)
    machine.words(bp - 8, bp + kept)
    found = caller(frame(machine, JIT + 0x20, bp).unwind(False), "frame-pointer")
    assert found == {"rip": back, "rsp": bp + stack, "rbp": SP + 0x200}


# Of 32 bits.


def test_on_32_bits_words_are_smaller(gdb: gdbmodule.State, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence.forget()
    machine = Machine(gdb, monkeypatch, bits=32)
    back, bp = calls(machine, OUTER, None), SP + 0x100
    machine.words(bp, SP + 0x200, back)
    machine.known.java[range(HERE, HERE + 1)] = Blob(
        48, HERE, interpreter=False, address=HERE, code=HERE
    )  # is of 64 bits only
    found = caller(frame(machine, HERE, bp).unwind(False), "frame-pointer")
    assert found == {"eip": back, "esp": bp + 8, "ebp": SP + 0x200}
    evidence.forget()
