"""The facts of a fault."""

from corebox.gdbside.why.facts import plain, signal_name
from tests.unit.gdbside.standin import DATA, STACK, TEXT, StandIn, fault


def test_functions_are_told_without_parameters_and_hashes() -> None:
    assert plain("acme::pay(int, (anonymous namespace)::Card)") == "acme::pay"
    assert plain("(anonymous namespace)::pay(int)") == "{anonymous}::pay"
    assert plain("acme::pay::h0123456789abcdef") == "acme::pay"
    assert plain("<acme::Card as Pay>::pay::h0123456789abcdef") == "<acme::Card as Pay>::pay"
    assert plain(None) == ""


def test_signals_have_names() -> None:
    assert (signal_name(11), signal_name(77), signal_name(None)) == ("SIGSEGV", "signal 77", "signal None")


def test_registers_that_an_instruction_names() -> None:
    asked = StandIn({"sp": STACK, "rax": -1, "rbx": 5}, instructions={TEXT + 0x100: "mov  (%rax),%rcx"})
    assert list(fault(11, asked=asked).registers()) == [("rax", (1 << 64) - 1)]
    assert list(fault(11, asked=asked).registers("%rbx")) == [("rbx", 5)]
    assert fault(11, asked=asked).instruction() == "mov (%rax),%rcx"


def test_memory_as_numbers_and_text() -> None:
    asked = StandIn(memory={DATA: b"\xff\xff\xff\xff" + bytes(4) + b"a text of more than a piece\0rest"})
    made = fault(11, asked=asked)
    assert (made.word(DATA), made.number(DATA, 4, signed=True), made.word(0)) == (0xFFFFFFFF, -1, None)
    assert made.string(DATA + 8, 100) == "a text of more than a piece"
    assert made.string(DATA + 8, 6) == "a text"
    assert made.string(0, 6) is None


def test_a_pointer_of_the_program_by_its_name() -> None:
    made = fault(6, asked=StandIn(values={"*(char **) &__abort_msg": -1}))
    assert (made.pointer("__abort_msg"), made.pointer("other")) == ((1 << 64) - 1, None)


def test_where_code_is() -> None:
    assert fault(11).executable(TEXT)
    assert not fault(11).executable(DATA)
    assert not fault(11).executable(0)


def test_a_handler_is_told_with_what_ended_the_process() -> None:
    made = fault(11, handlers=["raise", "", "__sigaction", "acme::crashed"], interrupted=5)
    assert made.handled == [
        "a signal handler ran afterwards, and ended the process from acme::crashed: frames 0 to 4 are not the cause"
    ]
    assert fault(11, interrupted=1).handled == ["a signal handler ran afterwards: frames 0 to 0 are not the cause"]
    assert fault(11).handled == []


def test_a_signal_that_the_handler_sent_again_says_nothing_of_the_fault() -> None:
    code = StandIn({"sp": STACK}, memory={TEXT + 0xFE: b"\x90\x90"})
    again = fault(11, -6, 0x10, sender=100, asked=code)
    assert (again.again, again.code, again.address) == (True, None, None)
    assert again.handled[0].startswith("SIGSEGV was sent again")
    call = StandIn({"sp": STACK}, memory={TEXT + 0xFE: b"\x0f\x05"})
    assert not fault(11, -6, sender=100, asked=call).again
    assert not fault(11, -6, sender=7, asked=code).again
    assert not fault(11, -6, sender=100, asked=code, machine="mips").again


def test_functions_on_the_stack() -> None:
    made = fault(6, names=["raise", "acme::pay", "main"], handlers=["runtime.sigtramp"])
    assert made.runs("main", "raise") == "raise"
    assert made.runs("other") is None
    assert made.runs_like("acme::") == "acme::pay"
    assert made.runs_after("runtime.")
    assert not made.runs_after("std::")
