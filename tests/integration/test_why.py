"""What kind of fault it is, as ``corebox why`` tells it inside gdb: real crashes of each kind."""

import subprocess
from pathlib import Path

import pytest

from tests.support.crashes import compile_cxx
from tests.support.lab import Lab

SOURCE = Path(__file__).parents[1] / "programs" / "faults" / "faults.cc"

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
}


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, without debug information of its own."""
    return compile_cxx(SOURCE, tmp_path_factory.mktemp("faults") / "faults", "-O1", "-fstack-protector-all")


def die(program: Path, *words: str) -> Path:
    """The core of the program that died so."""
    folder = program.parent / "-".join(words)
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
    sentence, evidence = FAULTS[words[0]]
    said = lab.gdb(bundle, "bubblewrap", "echo answer:\\n", "corebox why", options=["-c", die(faults, *words)]).output
    first, *others = said.partition("answer:\n")[2].splitlines()
    assert sentence in first
    assert evidence in "\n".join(others)


def test_in_each_engine(engine: str, bundle: Path, lab: Lab) -> None:
    assert "The program called abort()" in lab.gdb(bundle, engine, "corebox why").output
    modules = lab.gdb(bundle, engine, "corebox modules").output
    assert [line.split()[0] for line in modules.splitlines() if "libstdc++" in line] == ["verified"]
