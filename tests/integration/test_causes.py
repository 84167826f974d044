"""What the report says of the cause of real crashes: what was interrupted, not what reported it."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.documents import validate
from tests.support.evidence import gdb_alone, must_be_sound, must_show_no_less
from tests.support.lab import Lab
from tests.support.programs import FOLDER

SOURCES = FOLDER / "causes"
CXX = ("g++", "-std=c++17", "-g", "-O1", "-pthread")


def compile_with(*command: str) -> Callable[[Path], None]:
    """Compile with the program's path at the end."""
    return lambda out: run(*command, "-o", str(out))


def run(*command: str) -> None:
    subprocess.run(command, check=True, env={**os.environ, "HOME": os.environ.get("HOME", "/root")})


def go(name: str, cgo: bool) -> Callable[[Path], None]:
    """Build a Go program by Debian's compiler, with or without C in it."""

    def build(out: Path) -> None:
        folder = out.parent / f"{name}-source"
        folder.mkdir()
        (folder / "main.go").write_bytes((SOURCES / name / "main.go").read_bytes())
        (folder / "go.mod").write_text("module causes\n\ngo 1.19\n")
        environment = {**os.environ, "CGO_ENABLED": str(int(cgo))}
        subprocess.run(["go", "build", "-o", out, "."], cwd=folder, check=True, env=environment)

    return build


OPTIMISED = ("g++", "-std=c++17", "-O2", "-fstack-protector-strong", str(SOURCES / "optimised.cc"))
RUST = ("--edition", "2021", "-C", "panic=abort", str(SOURCES / "panics.rs"))
NEWEST = shutil.which("rustc") or "rustc"  # of rustup where that is installed, else Debian's once more
BUILDS: dict[str, Callable[[Path], None]] = {
    "handled": compile_with(*CXX, str(SOURCES / "handled.cc")),
    "optimised": compile_with(*OPTIMISED, "-g"),
    "names-only": compile_with(*OPTIMISED),
    "pointers": compile_with(*CXX, "-fno-stack-protector", str(SOURCES / "pointers.cc")),
    "hang": compile_with(*CXX, str(SOURCES / "hang.cc")),
    "stripped-hang": compile_with(*CXX, "-s", str(SOURCES / "hang.cc")),
    "address": compile_with(*CXX, "-fsanitize=address", str(SOURCES / "sanitized.cc")),
    "undefined": compile_with(
        *CXX, "-fsanitize=undefined", "-fno-sanitize-recover=undefined", str(SOURCES / "sanitized.cc")
    ),
    "race": compile_with(*CXX, "-fsanitize=thread", str(SOURCES / "race.cc")),
    "raw-checks": compile_with(*CXX, str(SOURCES / "raw_checks.cc"), "-labsl_raw_logging_internal"),
    "checks": compile_with(*CXX, str(SOURCES / "checks.cc"), "-lglog"),
    "panics": compile_with("/usr/bin/rustc", *RUST),
    "stripped-panics": compile_with("/usr/bin/rustc", *RUST, "-C", "strip=symbols"),
    "new-panics": compile_with(NEWEST, *RUST),
    "new-stripped-panics": compile_with(NEWEST, *RUST, "-C", "strip=symbols"),
    "go": go("go", cgo=True),
    "waits": go("waits", cgo=False),
}


class Case(NamedTuple):
    """A crash: program and words; kind and sentence of its cause, its family, and a part of the evidence."""

    program: str
    words: str
    sentence: str
    family: str
    evidence: str = ""


CASES = [
    # A failure handler, with siginfo on a stack of its own, without, and one that sends the signal again.
    Case("handled", "info read", "Null pointer dereference", "null-dereference in {anonymous}::read_order",
         "flush_logs"),
    Case("handled", "info divide", "Integer division by zero", "division-by-zero in {anonymous}::average"),
    Case("handled", "info overflow", "Stack overflow", "stack-overflow in recursion of {anonymous}::endless"),
    Case("handled", "info abort", r"The program called abort\(\)", "abort in {anonymous}::check_order"),
    Case("handled", "info timer", "Null pointer dereference", "null-dereference in {anonymous}::read_order"),
    Case("handled", "info call", "Call through a null function pointer", "bad-call in {anonymous}::visit"),
    Case("handled", "plain read", "Null pointer dereference", "null-dereference in {anonymous}::read_order"),
    Case("handled", "plain divide", "Integer division by zero", "division-by-zero in {anonymous}::average"),
    Case("handled", "plain overflow", "Stack overflow", "stack-overflow in recursion of {anonymous}::endless",
         "no room"),
    Case("handled", "again read", "Null pointer dereference", "null-dereference in {anonymous}::read_order", "again"),
    Case("handled", "again divide", "Integer division by zero", "division-by-zero in {anonymous}::average", "again"),
    # What a pointer points to.
    Case("pointers", "used-after-free", "rax is not a canonical address .the text \"AAAAAAAA\"",
         "bad-pointer in {anonymous}::draw",
         "heap chunk of 24 bytes, freed"),
    Case("pointers", "freed", "not a canonical", "bad-pointer in {anonymous}::use_and_fault",
         "heap chunk of 200 bytes, freed"),
    Case("pointers", "freed-large", "not a canonical", "bad-pointer in {anonymous}::use_and_fault",
         "chunk of 5000 bytes, freed"),
    Case("pointers", "in-use", "not a canonical", "bad-pointer in {anonymous}::use_and_fault",
         "heap chunk of 1000 bytes, in use (offset 8)"),
    Case("pointers", "stack", "not a canonical", "bad-pointer in {anonymous}::use_and_fault", "the stack of thread 2"),
    Case("pointers", "guard", "no permissions", "bad-pointer in {anonymous}::store",
         "the guard page of the stack of thread 1"),
    Case("pointers", "file", "Write to read-only memory", "read-only in {anonymous}::store", ": /etc/passwd"),
    Case("pointers", "past-the-end", "invalid pointer: 0x", "bad-pointer in {anonymous}::store",
         "16 bytes past the end of"),
    Case("pointers", "smashed", "Return to an invalid address", "smashed-return in {anonymous}::overrun", '"xxxxxxxx"'),
    Case("pointers", "small-call", "Call of an invalid address: 0x1234", "bad-call in {anonymous}::jump"),
    # What an optimiser took off the stack.
    Case("optimised", "settle", r"The program called abort\(\)", "abort in {anonymous}::give_up"),
    Case("optimised", "name", "Stack buffer overflow", "stack-smashing in {anonymous}::copy_name",
         "alone has an array"),
    Case("names-only", "settle", r"The program called abort\(\)", "abort in {anonymous}::give_up"),
    Case("names-only", "check", "Assertion `lines > 3' failed", "assertion(lines > 3) in {anonymous}::check"),
    Case("names-only", "discount", "Null pointer dereference",
         "null-dereference in {anonymous}::bugs::{lambda#4}"),
    Case("names-only", "release", "Heap corruption: invalid access to 0x.* in free", "heap-corruption in"),
    # A hang.
    Case("hang", "", "Deadlock: threads . and . wait for each other's mutexes", "deadlock in {anonymous}::reserve",
         "waits in"),
    Case("stripped-hang", "", "Deadlock: threads . and . wait for each other's mutexes", "deadlock in",
         "held by thread"),
    # Sanitizers.
    *(
        Case("address", kind, f"AddressSanitizer: {text}", f"sanitizer({kind}) in {function}", evidence)
        for kind, text, function, evidence in (
            ("heap-buffer-overflow", "heap-buffer-overflow", "past_the_end", "READ of size 4"),
            ("heap-use-after-free", "heap-use-after-free", "after_free", "freed by thread T0"),
            ("double-free", "attempting double-free", "twice", "freed by thread T0"),
            ("stack-buffer-overflow", "stack-buffer-overflow", "past_the_stack", "READ of size 4"),
        )
    ),
    Case("address", "null", "Null pointer dereference", "null-dereference in read_nothing", "a signal handler ran"),
    Case("undefined", "shift", "UndefinedBehaviorSanitizer: shift-out-of-bounds",
         "sanitizer(shift-out-of-bounds) in shift"),
    Case("race", "", "ThreadSanitizer: data race", "sanitizer(data-race) in bump", "__tsan::ReportRace is"),
    # absl: what its own code checks.
    Case("raw-checks", "check", "Check order != nullptr failed: no order", "check-failed in ship", "raw_checks.cc:"),
    Case("raw-checks", "fatal", "Fatal log message: the journal is lost", "check-failed in close_journal"),
    # glog.
    Case("checks", "equal", r"Check failed: lines.size\(\) == 3u \(2 vs. 3\) incomplete", "check-failed in ship",
         "checks.cc:"),
    Case("checks", "pointer", "Check failed: customer != nullptr", "check-failed in book"),
    Case("checks", "fatal", "Fatal log message: the journal is lost", "check-failed in close_journal"),
    Case("checks", "fault", "Null pointer dereference", "null-dereference in read_order"),
    # Rust: Debian's 1.63, and the newest that there is.
    *(
        Case(program, words, sentence, f"rust-panic in panics::{function}")
        for program in ("panics", "new-panics")
        for words, sentence, function in (
            ("index", r"panics.rs:3:5: index out of bounds: the len is 2 but the index is 3", "third"),
            ("none", r"panics.rs:7:\d+: called `Option::unwrap\(\)` on a `None` value", "price"),
            ("literal", r"panics.rs:1\d:5: a refund is not possible", "exchange"),
            ("refund", r"panics.rs:11:5: no refund of 12 for order 4711", "refund"),
        )
    ),
    *(
        Case(program, "index", r"Rust panic at \S+/panics.rs:3:5: index out of bounds", "rust-panic in panics.rs:3:5")
        for program in ("stripped-panics", "new-stripped-panics")
    ),
    # JavaScript.
    Case("/usr/bin/node", f"--max-old-space-size=30 {SOURCES}/orders.js heap", "JavaScript heap out of memory",
         "javascript-out-of-memory in"),
    Case("/usr/bin/node", f"{SOURCES}/orders.js abort", r"JavaScript called process.abort\(\)", "abort in"),
    # Go.
    Case("go", "index", r"Go panic: runtime error: index out of range \[7\] with length 3", "go-panic in main.total"),
    Case("go", "nil", "Go panic: runtime error: invalid memory address", "go-panic in main.following",
         "SIGSEGV at address 0x8"),
    Case("go", "error", "Go panic: .*no customer", "go-panic in main.refuse"),
    Case("go", "fatal", "Go fatal error: sync: unlock of unlocked mutex", "go-fatal-error"),
    *(
        Case("waits", words, f"Go fatal error: {text}", f"go-fatal-error in {function}", f"1 is in {function}")
        for words, text, function in (
            ("channel", "all goroutines are asleep - deadlock!", "main.receive"),
            ("mutex", "all goroutines are asleep - deadlock!", "main.lock"),
            ("overflow", "stack overflow", "main.total"),
        )
    ),
    Case("go", "c", "Null pointer dereference in C code or in Go's runtime", "null-dereference in boom"),
]  # fmt: skip


@pytest.fixture(scope="module")
def programs(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each program, built when it is first asked for."""
    folder = tmp_path_factory.mktemp("causes")

    def built(name: str) -> Path:
        out = folder / name  # a path that begins with a slash is that of a program of the machine
        if not out.exists():
            BUILDS[name](out)
        return out

    return built


def crash(program: Path, words: str, folder: Path) -> Path:
    """The core of the program, which has a small stack."""
    environment = {
        **os.environ,
        "ASAN_OPTIONS": "abort_on_error=1:disable_coredump=0",
        "UBSAN_OPTIONS": "abort_on_error=1",
        "TSAN_OPTIONS": "abort_on_error=1:halt_on_error=1:disable_coredump=0",
        "GOTRACEBACK": "crash",
    }
    shell = f"ulimit -c unlimited -s 1024; exec {program} {words}"
    subprocess.run(["sh", "-c", shell], cwd=folder, check=False, capture_output=True, env=environment)
    (core,) = folder.glob("core*")
    return core


@pytest.fixture(scope="module")
def report_of(programs: Callable[[str], Path], lab: Lab) -> Callable[[str, str, Path], Any]:
    """The report of a crash as JSON."""

    def made(program: str, words: str, folder: Path) -> Any:
        bundle = folder / "x.corebox"
        lab.corebox("gather", crash(programs(program), words, folder), "-o", bundle)
        return lab.done("report", bundle, "--engine", "bubblewrap", "--format", "json").json

    return made


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.program} {case.words}".strip())
def test_the_cause_and_the_family(
    case: Case, programs: Callable[[str], Path], report_of: Callable[[str, str, Path], Any], tmp_path: Path
) -> None:
    made = report_of(case.program, case.words, tmp_path)
    validate(made, "report")
    (core,) = tmp_path.glob("core*")
    must_be_sound(made, core)
    must_show_no_less(made, core, gdb_alone(core, programs(case.program)))
    assert re.search(case.sentence, made["why"]["sentence"]), made["why"]
    assert made["family"].startswith(case.family), made["signature"]
    assert case.evidence in "\n".join(made["why"]["evidence"]), made["why"]


def test_the_label_and_the_report_say_the_same(programs: Callable[[str], Path], lab: Lab, tmp_path: Path) -> None:
    bundle = tmp_path / "x.corebox"
    lab.corebox("gather", crash(programs("pointers"), "small-call", tmp_path), "-o", bundle)
    image = lab.build(bundle, "-t", "cause:1")
    made = lab.done("report", bundle, "--engine", "bubblewrap", "--format", "json").json
    assert made["fault"] == "SIGSEGV (no module)"
    labels = [each for each in lab.done("images", "--json").json["images"] if "cause:1" in str(each)]
    assert image
    assert labels


def test_a_snapshot_is_no_crash(lab: Lab, tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        core = tmp_path / "core"
        gdb = ["/usr/bin/gdb", "-nx", "-batch", "-p", str(process.pid), "-ex", f"generate-core-file {core}"]
        subprocess.run(gdb, check=True, capture_output=True)
    finally:
        process.kill()
        process.wait()
    lab.done("gather", core, "-o", tmp_path / "x.corebox")
    made = lab.done("report", tmp_path / "x.corebox", "--engine", "bubblewrap", "--format", "json").json
    assert made["why"]["kind"] == "snapshot"
    assert made["why"]["sentence"].startswith("No crash: ")
