"""What kind of fault it is, as ``corebox why`` tells it inside gdb: real crashes of each kind."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.crashes import compile_cxx
from tests.support.lab import Lab
from tests.support.programs import FAULTS_FLAGS
from tests.support.site import Site

SOURCE = Path(__file__).parents[1] / "programs" / "faults" / "faults.cc"

GETPPID = 110  # on x86-64 (asm/unistd_64.h)
#: How it dies, the sentence, and a part of the evidence.
FAULTS = {
    "null-read": ("A null pointer was used", "rdi = 0x0"),
    "null-call": ("A function was called through a null pointer", "program counter 0x0: nothing is mapped there"),
    "wild-call": ("A function was called through a bad pointer", "program counter 0x11223344556"),
    "wild-read": ("A pointer to 0x11223344556 was used", "fault address 0x11223344556: nothing is mapped there"),
    "non-canonical": ("holds a value that is no address", "= 0x1122334455667788"),
    "read-only": ("Memory that is read-only was written to", "/faults is mapped there, r--"),
    "stack-overflow": ("The stack is full", "is 128 of the innermost 128 frames"),
    "abort": ("The program called abort()", "no message of the C library"),
    "assert": ('Assertion `no_order != nullptr && "an order"\' failed.', "__abort_msg"),
    "double-free": ("The heap is corrupted: double free or corruption (!prev)", "__abort_msg"),
    "smash": ("A buffer on the stack was overrun", "stack smashing detected"),
    "throw": ("type (anonymous namespace)::OrderError was thrown and nobody caught it: order 42 has no", "std::termin"),
    "throw-int": ("An exception of type int was thrown and nobody caught it", "exception object at 0x"),
    "bad-alloc": ("An allocation failed: std::bad_alloc was thrown", "exception object at 0x"),
    "truncated-file": ("is shorter than its mapping: it was truncated", "fault address 0x"),
    "divide": ("An integer was divided by zero, or the quotient did not fit", "= 0x0"),
    "trap": ("A trap that the compiler or the program put there", "ud2"),
    "killed": ("sent signal 11; nothing crashed here", "si_code 0"),
    "raised": ("The program sent itself signal 5", "si_code -6"),
    "pure-virtual": ("A virtual function was called that the object, half made", "__cxa_pure_virtual is on the stack"),
    "terminate": ("told to terminate; no exception was found in flight", "std::terminate is on the stack"),
    "invalid-free": ("The heap is corrupted: free(): invalid pointer", "__abort_msg"),
    "fortify": ("A string function would have overrun its buffer", "__abort_msg: *** buffer overflow detected ***"),
    "library-check": ("A check of the C++ library failed", "_assert"),
    "unmapped": ("A pointer to 0x", ": nothing is mapped there"),
    "illegal": ("The processor does not know the instruction", "instruction at 0x"),
    "float-divide": ("A floating-point operation trapped: a division by zero", "div"),
    "forbidden": (f"System call {GETPPID} was refused by a filter", "instruction at 0x"),
}
#: What the C and the C++ library of the machine have a part in.
OF_THE_LIBRARIES = (
    "stack-overflow", "abort", "assert", "double-free", "invalid-free", "smash", "fortify", "throw", "throw-int",
    "bad-alloc", "pure-virtual", "library-check",
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


@pytest.mark.parametrize("words", [(name,) for name in FAULTS] + [("stack-overflow", "thread"), ("throw", "thread")])
def test_the_kind_of_a_fault(words: tuple[str, ...], faults: Path, bundle: Path, lab: Lab) -> None:
    said = lab.gdb(bundle, "bubblewrap", "echo answer:\\n", "corebox why", options=["-c", die(faults, *words)]).output
    check(words[0], said)


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
    assert "\nA Rust panic\n" in said
    assert "\n  panicked in panic::third\n" in said
    assert "/panic.rs:3\n" in said


def test_in_each_engine(engine: str, bundle: Path, lab: Lab) -> None:
    assert "The program called abort()" in lab.gdb(bundle, engine, "corebox why").output
    modules = lab.gdb(bundle, engine, "corebox modules").output
    assert [line.split()[0] for line in modules.splitlines() if "libstdc++" in line] == ["verified"]
    assert "not opened" not in modules
    assert re.search(r"/libstdc\+\+\.so\.6\S* +\(symbols: (none|minimal)\)", modules)
