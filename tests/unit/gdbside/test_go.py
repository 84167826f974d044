"""Go's panics, from the values of its runtime."""

from collections.abc import Mapping
from typing import Any

import pytest

from corebox.gdbside.why.facts import Fault, Goroutine
from corebox.gdbside.why.go import failed, go_failure, was_handed_on
from tests.unit.gdbside.standin import DATA, HEAP, STACK, StandIn, fault, words

PANIC = ("runtime.fatalpanic", "runtime.gopanic", "main.pay")
TYPES, KIND, VALUE, TEXT = DATA, DATA + 0x200, HEAP, HEAP + 0x100


def memory(name: bytes, text: bytes = b"no money", star: bool = False) -> dict[int, bytes]:
    """A runtime type of this name, and a value that is a string."""
    kind = bytearray(48)
    kind[20], kind[40:44] = 2 if star else 0, (0x80).to_bytes(4, "little")
    return {
        KIND: bytes(kind),
        TYPES + 0x80: bytes([0, len(name)]) + name,
        VALUE: words(TEXT, len(text)) + bytes(16),
        TEXT: text,
    }


def panicked(runs: Mapping[int, bytes], names: tuple[str, ...] = PANIC, **more: Any) -> Fault:
    values = {"'runtime.firstmoduledata'": {"types": TYPES}, **more}
    variables = {(1, "e"): {"_type": KIND, "data": VALUE}}
    return fault(6, -6, names=names, asked=StandIn({"sp": STACK}, runs, values=values, variables=variables))


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (memory(b"string"), "Go panic: no money"),
        (memory(b"*main.Error", star=True), "Go panic: main.Error: no money"),
        (memory(b"runtime.plainError"), "Go panic: no money"),
        (memory(b"runtime.errorString"), "Go panic: runtime error: no money"),
        (memory(b"main.Empty", b"\xff\xff"), "Go panic: (main.Empty)"),
        (memory(b"main.Empty", b""), "Go panic: (main.Empty)"),
        ({}, "Go panic"),
    ],
)
def test_what_panic_was_called_with(runs: dict[int, bytes], said: str) -> None:
    found = go_failure(panicked(runs))
    assert found is not None
    assert (found.kind, found.sentence) == ("go-panic", said)


@pytest.mark.parametrize(
    ("code", "said"),
    [(0, "index out of range [7] with length 3"), (99, "slice bounds out of range")],
)
def test_an_index_that_is_out_of_range(code: int, said: str) -> None:
    runs = {**memory(b"runtime.boundsError"), VALUE: words(7, 3) + bytes([1, code]) + bytes(8)}
    found = go_failure(panicked(runs))
    assert found is not None
    assert found.sentence == f"Go panic: runtime error: {said}"


def test_numbers_are_not_part_of_what_is_the_same() -> None:
    found = go_failure(panicked(memory(b"string", b"no money for 7 at 0x10")))
    assert found is not None
    assert found.detail == "no money for N at N"


def test_an_index_that_is_lost() -> None:
    runs = memory(b"runtime.boundsError")
    del runs[VALUE]
    found = go_failure(panicked(runs))
    assert found is not None
    assert found.sentence == "Go panic: runtime error: runtime.boundsError"


def routines(signal: int, address: int) -> dict[str, Any]:
    idle, hit = {"sig": 0, "sigcode1": 0}, {"sig": signal, "sigcode1": address}
    return {
        "'runtime.allgs'": {"len": 1, "array": [idle]},
        "'runtime.allm'": Link({"g0": hit, "alllink": Link({})}),
    }


class Link(dict[str, Any]):
    """A pointer: nil if there is nothing."""

    def __int__(self) -> int:
        return len(self)


@pytest.mark.parametrize(
    ("signal", "address", "kind"),
    [(11, 8, "null-dereference"), (11, 0x99999999, "bad-pointer"), (8, 1, "go-fatal-error")],
)
def test_a_signal_in_c_code(signal: int, address: int, kind: str) -> None:
    names = ("runtime.throw", "runtime.sigpanic", "acme_pay")
    said = b"unexpected signal during runtime execution"
    variables = {(0, "s"): {"len": len(said), "str": TEXT}}
    asked = StandIn({"sp": STACK}, {TEXT: said}, values=routines(signal, address), variables=variables)
    found = go_failure(fault(6, -6, names=names, asked=asked))
    assert found is not None
    assert found.kind == kind


def test_a_nil_pointer_in_go_code() -> None:
    found = go_failure(panicked({}, ("runtime.gopanic", "runtime.sigpanic", "main.pay")))
    assert found is not None
    assert found.sentence == "Go panic: invalid memory address or nil pointer dereference"


def test_an_error_of_the_runtime_that_is_in_its_log_only() -> None:
    log = {HEAP: b"fatal error: all goroutines are asleep - deadlock!\n".ljust(512, b"\0")}
    asked = StandIn({"sp": STACK}, log, values={"&'runtime.printBacklog'": HEAP})
    for names in (("runtime.throw", "runtime.main"), ("runtime.mstart",)):
        found = go_failure(fault(6, -6, names=names, asked=asked))
        assert found is not None
        assert found.sentence == "Go fatal error: all goroutines are asleep - deadlock!"
    assert go_failure(fault(6, names=["runtime.mstart"], asked=StandIn())) is None
    assert go_failure(fault(6, names=["main"])) is None


ROUTINES = [
    Goroutine(6, runs=True, panic="no money", functions=("runtime.systemstack_switch", "main.pay")),
    Goroutine(1, runs=False, panic=None, functions=("runtime.gopark", "main.wait")),
]


@pytest.mark.parametrize(
    ("said", "shown", "function"),
    [
        (b"sync: unlock of unlocked mutex", "sync: unlock of unlocked mutex", "main.pay"),
        (b"all goroutines are asleep - deadlock!", "all goroutines are asleep - deadlock!", "main.wait"),
    ],
)
def test_a_fatal_error_without_symbols_is_of_the_goroutine_that_failed(said: bytes, shown: str, function: str) -> None:
    asked = StandIn(routines=ROUTINES, log=b"fatal error: " + said + b"\n")
    found = go_failure(fault(6, -6, names=("runtime.fatalthrow.func1", "runtime.systemstack"), asked=asked))
    assert found is not None
    assert (found.sentence, found.function) == (f"Go fatal error: {shown}", function)


def test_a_panic_without_symbols() -> None:
    found = go_failure(fault(6, -6, names=PANIC, asked=StandIn(routines=ROUTINES)))
    assert found is not None
    assert (found.sentence, found.function) == ("Go panic: no money", None)


def test_a_thread_that_ends_the_process_for_another() -> None:
    handed = fault(6, names=["runtime.dieFromSignal", "runtime.futex"])
    assert was_handed_on(handed)
    assert not failed(handed)
    assert was_handed_on(fault(6, names=["runtime.futex"], handlers=["runtime.sighandler"]))
    assert not was_handed_on(fault(11, names=["runtime.crash"]))
    assert not was_handed_on(fault(6, names=["runtime.crash", "runtime.gopanic"]))
    assert not was_handed_on(fault(6, names=["main"]))
