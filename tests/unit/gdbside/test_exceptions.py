"""The C++ exception in flight, from the words of the stack."""

import struct

import pytest

from corebox.gdbside.why.exceptions import Thrown, thrown
from corebox.gdbside.why.kinds import cause_of
from tests.unit.gdbside.standin import DATA, HEAP, STACK, StandIn, fault, words

SP, HEADER, TYPE, BASE, VTABLE = STACK + 0x8000, HEAP + 0x100, DATA + 0x100, DATA + 0x200, DATA + 0x300


def asked(
    kind: bytes, what: bytes = b"no money", base: bytes | None = b"St13runtime_error", pointer: int = HEADER
) -> StandIn:
    """An exception of this type, with its text."""
    heap = bytearray(0x1000)
    struct.pack_into("<Q", heap, 0x100 - 5 * 8 - 8 - 32, TYPE)
    heap[0x100:0x108] = bytes(reversed(b"GNUCC++\0"))
    heap[0x120:0x130] = words(VTABLE, HEAP + 0x800)
    heap[0x800 : 0x800 + len(what)] = what
    data = bytearray(0x1000)
    data[0x100:0x118] = words(VTABLE + 16, DATA + 0x400, BASE if base else 0)
    data[0x200:0x218] = words(VTABLE + 32, DATA + 0x480, 0)
    data[0x400 : 0x400 + len(kind)] = kind
    if base:
        data[0x480 : 0x480 + len(base)] = base
    stack = words(0, 3, DATA, pointer, pointer) + bytes(0x1000)
    symbols = {VTABLE + 16: "vtable for __cxxabiv1::__si_class_type_info + 16 in section .data"}
    names = {"_ZTIN4acme5ErrorE": "typeinfo for acme::Error"}
    memory = {SP: stack, HEAP: bytes(heap), DATA: bytes(data)}
    return StandIn({"sp": SP}, memory, symbols=symbols, names=names)


def test_type_and_message() -> None:
    found = thrown(fault(6, asked=asked(b"N4acme5ErrorE")))
    assert found == Thrown(HEADER + 32, "acme::Error", "no money")


@pytest.mark.parametrize("offset", [-96, 32])
def test_pointers_to_the_whole_exception_and_to_its_object_count(offset: int) -> None:
    found = thrown(fault(6, asked=asked(b"N4acme5ErrorE", pointer=HEADER + offset)))
    assert found == Thrown(HEADER + 32, "acme::Error", "no money")


def test_a_type_that_is_known_for_no_message() -> None:
    assert thrown(fault(6, asked=asked(b"N4acme5ErrorE", base=b"9exception"))) == Thrown(
        HEADER + 32, "acme::Error", None
    )


def test_a_type_whose_name_is_no_name_is_none() -> None:
    assert thrown(fault(6, asked=asked(b"$(id); shell"))) is None


def test_a_type_whose_name_gdb_does_not_demangle() -> None:
    found = thrown(fault(6, asked=asked(b"*3odd")))
    assert found is not None
    assert found.name == "3odd"


def test_without_a_stack_nothing_is_found() -> None:
    assert thrown(fault(6, asked=StandIn())) is None
    assert thrown(fault(6, asked=StandIn({"sp": 0x10}))) is None
    assert thrown(fault(6, asked=StandIn({"sp": SP}, {SP: words(0, HEAP)}))) is None


def test_what_the_kind_is() -> None:
    made = fault(6, names=["raise", "std::terminate"], asked=asked(b"N4acme5ErrorE"))
    found = cause_of(made)
    assert (found.kind, found.detail) == ("uncaught-exception", "acme::Error")
    assert found.sentence == "Uncaught exception of type acme::Error: no money"
    memory = asked(b"St9bad_alloc", base=None)
    memory.names = {"_ZTISt9bad_alloc": "typeinfo for std::bad_alloc"}
    assert cause_of(fault(6, names=["std::terminate"], asked=memory)).kind == "bad-alloc"
