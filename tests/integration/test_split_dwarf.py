"""Split debug information is gathered, found by its dwo_id, and its lack costs no frame."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import TOOLBOX_GDB
from tests.support.stacks import SOURCES, Crash, crash

WITH_VALUES = "call (called=0x"
RUST = """
#[inline(never)]
fn call(called: *mut i32, number: i32) -> i32 { unsafe { *called = number; } number }
fn main() { let number = std::env::args().count() as i32; call(std::ptr::null_mut(), number); }
"""


def build(folder: Path, *flags: str) -> Path:
    """The program that crashes in many ways, with its .dwo file beside it."""
    folder.mkdir()
    words = ["gcc", "-gsplit-dwarf", "-O0", "-pthread", *flags, "-c", str(SOURCES / "stacks.c"), "-o", "stacks.o"]
    subprocess.run(words, check=True, cwd=folder)
    subprocess.run(["gcc", "-pthread", "stacks.o", "-o", "stacks", "-ldl"], check=True, cwd=folder)
    return folder / "stacks"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """As gcc makes it."""
    return build(tmp_path / "built", "-g")


def bundle_of(lab: Lab, made: Crash) -> Path:
    """What is gathered of a crash."""
    bundle = made.core.with_suffix(".corebox")
    lab.done("gather", made.core, "-o", bundle)
    split = [*made.executable.parent.glob("*.dw[op]")]  # gdb alone gives up on a file that names one that is lacking
    sound_report(lab, bundle, made.core, gdb_alone(made.core, made.executable, TOOLBOX_GDB) if split else None)
    return bundle


def backtrace(lab: Lab, bundle: Path, *options: object) -> str:
    """The stack, with what is said before."""
    done = lab.gdb(bundle, "bubblewrap", "bt", options=options)
    return done.output + done.errors


def test_what_is_beside_the_program_is_gathered(program: Path, tmp_path: Path, lab: Lab) -> None:
    bundle = bundle_of(lab, crash(tmp_path / "work", program, "null-call"))
    (program.parent / "stacks.dwo").unlink()
    shown = backtrace(lab, bundle)
    assert WITH_VALUES in shown
    assert "split debug information" not in shown


def test_moved_with_the_program_it_is_found_all_the_same(program: Path, tmp_path: Path, lab: Lab) -> None:
    moved = program.parent.rename(tmp_path / "moved") / "stacks"
    bundle = bundle_of(lab, crash(tmp_path / "work", moved, "null-call"))
    assert WITH_VALUES in backtrace(lab, bundle)


def test_without_it_functions_and_lines_are_there_and_a_word(program: Path, tmp_path: Path, lab: Lab) -> None:
    (tmp_path / "kept").mkdir()
    kept = (program.parent / "stacks.dwo").rename(tmp_path / "kept" / "stacks.dwo")
    bundle = bundle_of(lab, crash(tmp_path / "work", program, "framed"))
    shown = backtrace(lab, bundle)
    assert "the split debug information of stacks is missing (stacks.dwo)" in shown
    for name in ("crash () at", "call () at", "main () at"):
        assert name in shown
    report = lab.corebox("report", bundle, "--engine", "bubblewrap").output
    assert "the split debug information of stacks is missing (stacks.dwo)" in report
    other = build(tmp_path / "other", "-g", "-DOTHER").parent  # another build's file of the same name
    assert WITH_VALUES not in backtrace(lab, bundle, "--symbols", other)
    assert WITH_VALUES in backtrace(lab, bundle, "--symbols", other, "--symbols", kept.parent)
    assert WITH_VALUES in backtrace(lab, bundle, "--symbols", kept)
    archive = tmp_path / "debug.tar.xz"
    subprocess.run(["tar", "-cJf", archive, "-C", kept.parent, "."], check=True)
    assert WITH_VALUES in backtrace(lab, bundle, "--symbols", other, "--symbols", archive)


def test_an_image_has_it_in_its_layer_of_symbols(program: Path, tmp_path: Path, lab: Lab) -> None:
    """So that who pulls the image needs no place of the vendor's."""
    (tmp_path / "kept").mkdir()
    kept = (program.parent / "stacks.dwo").rename(tmp_path / "kept" / "stacks.dwo")
    bundle = bundle_of(lab, crash(tmp_path / "work", program, "null-call"))
    lab.build(bundle, "-t", "split:1", "--symbols", kept.parent)
    kept.unlink()
    for options in ((), ("--symbols", kept.parent)):
        shown = backtrace(lab, Path("split:1"), *options)
        assert WITH_VALUES in shown
        assert "split debug information" not in shown


def packed_by_binutils(folder: Path) -> Path:
    """A program with its package, of DWARF 4: binutils' dwp knows no later one."""
    program = build(folder, "-gdwarf-4")
    subprocess.run(["dwp", "-e", "stacks", "-o", "stacks.dwp"], check=True, cwd=folder)
    (folder / "stacks.dwo").unlink()
    return program


def packed_by_rust(folder: Path) -> Path:
    """The same of DWARF 5, where the machine's rustc makes it: from 1.88 on; Debian's makes DWARF 4.

    LLVM's llvm-dwp never ends on what gcc makes of DWARF 5 (LLVM's issue 203625).
    """
    folder.mkdir()
    (folder / "stacks.rs").write_text(RUST)
    told = subprocess.run(["rustc", "-C", "help"], check=True, capture_output=True, text=True).stdout
    how = ["-C", "dwarf-version=5"] if "dwarf-version" in told else ["-Z", "unstable-options"]
    words = ["rustc", "-C", "debuginfo=2", "-C", "split-debuginfo=packed", *how, "stacks.rs"]
    subprocess.run(words, check=True, cwd=folder, env={**os.environ, "RUSTC_BOOTSTRAP": "1"})
    for each in folder.glob("*.dwo"):
        each.unlink()
    return folder / "stacks"


@pytest.mark.parametrize("packed", [packed_by_binutils, packed_by_rust])
def test_a_package_of_it_is_gathered_or_found(packed: Callable[[Path], Path], tmp_path: Path, lab: Lab) -> None:
    program = packed(tmp_path / "built")
    made = crash(tmp_path / "work", program, "null-call")
    with_it = bundle_of(lab, made)
    (tmp_path / "kept").mkdir()
    package = (program.parent / "stacks.dwp").rename(tmp_path / "kept" / "any-name.dwp")
    assert WITH_VALUES in backtrace(lab, with_it)
    without = made.core.with_suffix(".without.corebox")
    lab.done("gather", made.core, "-o", without)
    shown = backtrace(lab, without)
    assert WITH_VALUES not in shown
    assert "the split debug information of stacks is missing" in shown
    assert WITH_VALUES in backtrace(lab, without, "--symbols", package.parent)


def test_a_file_named_by_an_absolute_path_that_is_lacking(tmp_path: Path, lab: Lab) -> None:
    folder = tmp_path / "built"
    folder.mkdir()
    words = ["gcc", "-g", "-gsplit-dwarf", "-O0", "-pthread", str(SOURCES / "stacks.c"), "-o"]
    subprocess.run([*words, str(folder / "stacks"), "-ldl"], check=True, cwd=folder)
    for each in folder.glob("*.dwo"):
        each.unlink()
    shown = backtrace(lab, bundle_of(lab, crash(tmp_path / "work", folder / "stacks", "framed")))
    for name in ("crash ()", "call ()", "main ()"):
        assert name in shown
