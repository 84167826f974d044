"""What kind of fault it is, as ``corebox why`` tells it inside gdb: real crashes of each kind."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.crashes import compile_cxx
from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import FAULTS_FLAGS
from tests.support.site import Site

SOURCE = Path(__file__).parents[1] / "programs" / "faults" / "faults.cc"

GETPPID = 110  # on x86-64 (asm/unistd_64.h)
#: How it dies, the sentence, and a part of the evidence.
FAULTS = {
    "null-read": ("Null pointer dereference", "rdi = 0x0"),
    "null-call": ("Call through a null function pointer", "program counter 0x0: nothing is mapped there"),
    "wild-call": ("Call of an invalid address: 0x11223344556", "program counter 0x11223344556"),
    "wild-read": (
        "Access through an invalid pointer: 0x11223344556",
        "fault address 0x11223344556: nothing is mapped there",
    ),
    "non-canonical": ("is not a canonical address", "= 0x1122334455667788"),
    "read-only": ("Write to read-only memory", "/faults is mapped there, r--"),
    "stack-overflow": ("Stack overflow", "is 128 of the innermost 128 frames"),
    "abort": ("The program called abort()", "no message of the C library"),
    "assert": ('Assertion `no_order != nullptr && "an order"\' failed.', "__abort_msg"),
    "double-free": ("Heap corruption: double free or corruption (", "__abort_msg"),
    "smash": ("Stack buffer overflow: stack smashing detected", "stack smashing detected"),
    "throw": ("Uncaught exception of type (anonymous namespace)::OrderError: order 42 has no", "std::termin"),
    "throw-int": ("Uncaught exception of type int", "exception object at 0x"),
    "bad-alloc": ("Memory allocation failed: uncaught std::bad_alloc", "exception object at 0x"),
    "truncated-file": ("is shorter than its mapping (truncated after mmap)", "fault address 0x"),
    "divide": ("Integer division by zero, or the quotient overflowed", "= 0x0"),
    "trap": ("Trap instruction: __builtin_trap, unreachable code", "ud2"),
    "killed": ("sent SIGSEGV; nothing crashed here", "si_code 0"),
    "raised": ("The program sent itself SIGTRAP", "si_code -6"),
    "pure-virtual": ("Pure virtual function called, in a constructor", "__cxa_pure_virtual is on the stack"),
    "terminate": ("std::terminate was called without an exception in flight", "std::terminate is on the stack"),
    "invalid-free": ("Heap corruption: free(): invalid pointer", "__abort_msg"),
    "chunk-in-use": ("is not a canonical address", ": heap chunk of 1000 bytes, in use"),
    "chunk-in-a-cache": ("is not a canonical address", ": heap chunk of 200 bytes, freed"),
    "chunk-in-a-bin": ("is not a canonical address", ": heap chunk of 5000 bytes, freed"),
    "fortify": ("Buffer overflow detected in a call of the C library", "__abort_msg: *** buffer overflow detected ***"),
    "library-check": ("C++ library assertion failed", "_assert"),
    "unmapped": ("Access through an invalid pointer: 0x", ": nothing is mapped there"),
    "illegal": ("Illegal instruction", "instruction at 0x"),
    "float-divide": ("Floating-point exception: division by zero", "div"),
    "forbidden": (f"System call {GETPPID} was refused by a seccomp filter", "instruction at 0x"),
}
#: What the C and the C++ library of the machine have a part in.
OF_THE_LIBRARIES = (
    "stack-overflow", "abort", "assert", "double-free", "invalid-free", "smash", "fortify", "throw", "throw-int",
    "bad-alloc", "pure-virtual", "library-check", "chunk-in-use", "chunk-in-a-cache", "chunk-in-a-bin",
)  # fmt: skip


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, without debug information of its own."""
    return compile_cxx(SOURCE, tmp_path_factory.mktemp("faults") / "faults", *FAULTS_FLAGS)


def die(program: Path, *words: str) -> Path:
    """The core of the program that died so."""
    folder = program.parent / "-".join(("died", *words))
    folder.mkdir(exist_ok=True)
    subprocess.run([program, *words], cwd=folder, check=False, capture_output=True)
    (core,) = folder.glob("core*")
    return core


@pytest.fixture(scope="module")
def bundle(faults: Path, lab: Lab) -> Path:
    """One crash of it; the others are opened with its files."""
    out = faults.parent / "faults.corebox"
    lab.done("gather", die(faults, "abort"), "-o", out)
    return out


@pytest.mark.parametrize(
    "words",
    [(name,) for name in FAULTS] + [("stack-overflow", "thread"), ("throw", "thread"), ("chunk-in-a-cache", "thread")],
)
def test_the_kind_of_a_fault(words: tuple[str, ...], faults: Path, bundle: Path, lab: Lab) -> None:
    said = lab.gdb(bundle, "bubblewrap", "echo answer:\\n", "corebox why", options=["-c", die(faults, *words)]).output
    check(words[0], said)


@pytest.mark.parametrize("name", FAULTS)
def test_the_report_of_a_fault_is_evidence(name: str, faults: Path, lab: Lab) -> None:
    core = die(faults, name)
    sound_report(lab, core, core, gdb_alone(core, faults), "-e", faults)


def check(name: str, said: str) -> None:
    sentence, evidence = FAULTS[name]
    first, *others = said.partition("answer:\n")[2].splitlines()
    assert sentence in first
    assert evidence in "\n".join(others)


@pytest.fixture(scope="module")
def site_bundle(site: Site, zipapp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crash in the site, with whose files the others there are opened."""
    out = tmp_path_factory.mktemp(site.suite) / "faults.corebox"
    assert site.gather_inside(site.crash_faults("abort"), zipapp, out) == 0
    return out


@pytest.mark.parametrize("name", OF_THE_LIBRARIES)
def test_the_kind_of_a_fault_on_another_machine(name: str, site: Site, site_bundle: Path, lab: Lab) -> None:
    core = site.crash_faults(name).core
    check(name, lab.gdb(site_bundle, "bubblewrap", "echo answer:\\n", "corebox why", options=["-c", core]).output)


def test_a_rust_panic(lab: Lab, tmp_path: Path) -> None:
    program = tmp_path / "panic"
    subprocess.run(["/usr/bin/rustc", "-C", "panic=abort", "-o", program, SOURCE.with_name("panic.rs")], check=True)
    lab.done("gather", die(program), "-o", tmp_path / "panic.corebox")
    said = lab.gdb(tmp_path / "panic.corebox", "bubblewrap", "corebox why").output
    assert re.search(r"\nRust panic at \S+/panic.rs:3:5: index out of bounds: the len is 2 but the index is 3\n", said)
    assert "\n  panicked in panic::third\n" in said


def test_in_each_engine(engine: str, bundle: Path, lab: Lab) -> None:
    assert "The program called abort()" in lab.gdb(bundle, engine, "corebox why").output
    modules = lab.gdb(bundle, engine, "corebox modules").output
    assert [line.split()[0] for line in modules.splitlines() if "libstdc++" in line] == ["verified"]
    assert "not opened" not in modules
    assert re.search(r"/libstdc\+\+\.so\.6\S* +\(symbols: (none|minimal)\)", modules)
