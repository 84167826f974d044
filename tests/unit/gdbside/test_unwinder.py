"""Which frames gdb's own unwinders get, and which ours; and what memory says of code."""

import ctypes
from pathlib import Path
from typing import Any

import pytest

from corebox.coredump.values import FileMapping, Segment
from corebox.gdbside.frames import unwinder
from corebox.gdbside.frames.codemap import Memory
from corebox.gdbside.frames.evidence import evidence
from corebox.gdbside.memory import mapped
from corebox.gdbside.memory.mapped import MappedCore
from tests.support import gdbmodule
from tests.unit.gdbside import standin, test_unwind_information
from tests.unit.gdbside.machine import BY_BASE, Machine, call
from tests.unit.gdbside.standin import STACK, TEXT, WRITE

SP, OUTER, HERE = STACK + 0x1000, TEXT + 0x1000, TEXT + 0x3000
AMD64, AARCH64, S390X = "i386:x86-64", "aarch64", "s390:64-bit"


class Shown(gdbmodule.Frame):
    """A frame as gdb prints it."""

    def __str__(self) -> str:
        return f"{{stack={SP:#x},code={self.pc_:#x},!special}}"


@pytest.fixture
def machine(gdb: gdbmodule.State, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(gdb, monkeypatch)
    evidence.memory = machine.known
    gdb.open(gdbmodule.thread(1, Shown(HERE), Shown(OUTER)))
    return machine


def ask(machine: Machine, pc: int, name: str = AMD64, level: int = 0, **registers: int) -> Any:
    """What gdb is told."""
    return unwinder.Unwinder()(machine.pending(pc, registers, name, level))


def test_without_a_core_everything_is_left_to_gdb(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.words(SP, OUTER)
    evidence.memory = None
    monkeypatch.setattr(mapped, "opened", lambda: Path("/nonexistent/core").read_bytes())
    assert ask(machine, 0x123, rsp=SP, rbp=0) is None
    assert evidence.ends == {}


def test_what_has_unwind_information_is_left_to_gdb(machine: Machine) -> None:
    machine.compile(HERE, 0x100, BY_BASE)
    assert ask(machine, HERE + 8, rsp=SP, rbp=0) is None
    assert ask(machine, HERE + 8, rsp=SP, rbp=0, level=1) is None


def test_of_the_innermost_frame_code_begins_where_another_function_ends(machine: Machine) -> None:
    machine.compile(HERE, 0x100, BY_BASE)
    assert ask(machine, HERE + 0x100, rsp=SP, rbp=0, level=1) is None  # behind a call that does not return
    assert ask(machine, HERE + 0x100, rsp=SP, rbp=0).saved["rip"].raw[:4] == (HERE + 0x100).to_bytes(4, "little")
    assert "neither unwind information" in evidence.ends[1][0]


def test_a_jump_to_no_code_is_ours(machine: Machine) -> None:
    machine.put(OUTER, call(OUTER, HERE))
    machine.words(SP, OUTER + 5)
    assert int(ask(machine, 0x123, rsp=SP, rbp=0).saved["rip"]) == OUTER + 5


def test_a_frame_further_out_that_is_no_code_is_none(machine: Machine) -> None:
    told = ask(machine, 0x123, level=1)
    assert [int(each) for each in told.frame_id] == [SP, HERE]  # of a frame that there is: gdb ends the stack
    assert told.saved == {}
    assert evidence.ends == {1: ("the return address 0x123 is not in executable memory", False)}


def test_a_frame_that_gdb_shows_otherwise_is_left_to_it(machine: Machine) -> None:
    machine.gdb.open(gdbmodule.thread(1, gdbmodule.Frame(HERE)))
    assert ask(machine, 0x123, level=1) is None


def test_what_returns_from_a_signal_is_gdbs_and_what_it_interrupted_is_exact(machine: Machine) -> None:
    machine.put(HERE, b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05")
    assert ask(machine, HERE, rsp=SP, rbp=0, level=1) is None
    assert evidence.trampolines == {(1, 1)}
    machine.put(OUTER, call(OUTER, HERE))
    machine.words(SP, OUTER + 5)
    assert int(ask(machine, 0x123, rsp=SP, rbp=0, level=2).saved["rip"]) == OUTER + 5


def test_the_first_instruction_of_a_function_behind_a_trampoline_is_ours(machine: Machine) -> None:
    machine.compile(HERE, 0x100, BY_BASE)
    evidence.unmarked.add((1, 0))
    evidence.trampolines.add((1, 0))
    machine.words(SP, OUTER)
    assert int(ask(machine, HERE, rsp=SP, rbp=7, level=1).saved["rip"]) == OUTER
    assert evidence.found == {(1, 1): "cfi"}


# Other processors.


@pytest.mark.parametrize(("code", "believed"), [(b"\x0d\xe1", True), (b"\x07\x07", False), (b"", True)])
def test_what_gdb_guesses_on_other_processors_must_follow_a_call(machine: Machine, code: bytes, believed: bool) -> None:
    assert ask(machine, HERE, S390X) is None  # a guess of gdb's
    if code:
        machine.put(OUTER - 2, code)
    else:
        del machine.runs[TEXT]
        machine.gdb.memory.runs.pop(TEXT)
    assert (ask(machine, OUTER, S390X, level=1) is None) is believed
    assert (evidence.ends == {}) is believed


def test_of_an_unknown_processor_a_guess_is_believed(machine: Machine) -> None:
    assert ask(machine, HERE, "vax") is None
    assert ask(machine, OUTER, "vax", level=1) is None
    assert evidence.ends == {}


def test_on_aarch64_a_frame_record_is_ours_and_unwind_information_gdbs(machine: Machine) -> None:
    machine.put(OUTER, (0xD63F0100).to_bytes(4, "little"))
    machine.words(SP + 0x10, 0, OUTER + 4)
    assert int(ask(machine, HERE, AARCH64, sp=SP, x29=SP + 0x10).saved["pc"]) == OUTER + 4
    assert evidence.guessed is None
    machine.compile(HERE, 0x100, b"\x0c\x1f\x30\x9d\x06\x9e\x05", register=30)
    assert ask(machine, HERE, AARCH64, sp=SP, x29=SP + 0x10) is None
    assert evidence.guessed is None
    assert ask(machine, 0x123, AARCH64) is None


def test_gdb_asks_the_unwinder_and_forgets_with_the_core(machine: Machine) -> None:
    unwinder.register()
    assert [type(each) for each in gdbmodule.frame_unwinders] == [unwinder.Unwinder]
    evidence.found[1, 0] = "call"
    for listener in gdbmodule.events.corefile_changed.listeners:
        listener(None)
    assert (evidence.memory, evidence.found) == (None, {})


# Memory.


class OwnMemory(standin.Memory):
    """Of this process."""

    def read(self, address: int, size: int) -> bytes | None:
        try:
            return test_unwind_information.read(address, size)
        except OSError:
            return None


@pytest.fixture
def own(gdb: gdbmodule.State, monkeypatch: pytest.MonkeyPatch) -> tuple[Memory, int, str]:
    """The memory of this process, as its core would have it; a function in it, and the file that has it."""
    path, base = test_unwind_information.mapped_library()
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    segments, files = [], []
    for line in lines:
        start, end = (int(each, 16) for each in line[0].split("-"))
        flags = sum(bit for char, bit in zip(line[1], (4, 2, 1), strict=False) if char != "-")
        segments.append(Segment(1, flags, 0, start, end - start, end - start))
        if line[-1] == path:
            files.append(FileMapping(start, end, int(line[2], 16), path, False))
            gdb.libraries[start, end] = path
    monkeypatch.setattr(mapped, "opened", lambda: MappedCore(standin.header(), segments, files))
    gdb.memory = OwnMemory({})
    function = ctypes.cast(ctypes.CDLL(None).qsort, ctypes.c_void_p).value
    assert function is not None
    assert function > base
    return Memory(), function, path


def test_unwind_information_is_found_by_what_is_mapped(own: tuple[Memory, int, str]) -> None:
    memory, function, path = own
    found = memory.entry(function + 1)
    assert found is not None
    assert found.start == function
    assert memory.entry(function + 1) is found
    assert memory.entry(-1) is None
    assert memory.entry(0x10) is None
    file = memory.objfile(function)
    assert file is not None
    assert file.filename == path


def test_unwind_information_is_found_by_a_header_in_memory(own: tuple[Memory, int, str]) -> None:
    memory, function, _ = own
    for each in memory.core.mappings:
        each.path = ""
    found = memory.entry(function)
    assert found is not None
    assert found.start == function


def test_where_no_mapping_is_in_the_core_its_files_tell(own: tuple[Memory, int, str]) -> None:
    memory, function, path = own
    memory.core.mappings = [each for each in memory.core.mappings if each.path != path]
    found = memory.entry(function)
    assert found is not None
    assert found.start == function
    assert memory.executable(function)  # by the file that gdb has
    assert not memory.executable(0x10)


def test_code_is_where_the_core_says_that_it_may_run(machine: Machine) -> None:
    assert machine.known.executable(TEXT)
    assert not machine.known.executable(STACK)
    assert not machine.known.executable(0x10)
    assert machine.known.same_mapping(STACK, STACK + 0x100)
    assert not machine.known.same_mapping(STACK, TEXT)
    assert not machine.known.same_mapping(0x10, 0x10)


def test_a_core_without_any_right_to_run_does_not_deny_code(
    gdb: gdbmodule.State, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = standin.core((TEXT, TEXT + 0x1000, 4), (STACK, STACK + 0x1000, WRITE))
    monkeypatch.setattr(mapped, "opened", lambda: core)
    memory = Memory()
    assert memory.executable(TEXT)
    assert not memory.executable(0x10)
    gdb.libraries[0, 0x100] = "/opt/acme/app"
    assert memory.executable(0x10)


def test_a_program_with_hotspots_tables_that_are_not_in_the_core_has_no_code_of_it(machine: Machine) -> None:
    memory = Memory()
    assert memory.compiled_java(TEXT) is None
    machine.gdb.values["(unsigned long) &gHotSpotVMStructs"] = gdbmodule.Value(0x10)
    assert Memory().compiled_java(TEXT) is None
