"""Values that gdb does not survive, stacks without end, and more threads than are read: what is left out is told."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_why import die
from tests.support.crashes import compile_cxx
from tests.support.documents import validate
from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import FOLDER


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with printers beside it that crash gdb, and that never come back."""
    program = compile_cxx(FOLDER / "values.cc", tmp_path_factory.mktemp("values") / "values", "-O1", "-g")
    (program.parent / "values-gdb.py").write_bytes((FOLDER / "values-gdb.py").read_bytes())
    return program


def gathered(lab: Lab, program: Path, kind: str) -> Path:
    """The bundle of a crash of that kind."""
    bundle = program.parent / f"{kind}.corebox"
    lab.done("gather", die(program, kind), "-o", bundle)
    return bundle


def report_json(lab: Lab, bundle: Path, program: Path) -> Any:
    """The report for machines."""
    (core,) = (program.parent / f"died-{bundle.stem}").glob("core*")
    document = sound_report(lab, bundle, core, gdb_alone(core, program))
    validate(document, "report")
    return document


def report_text(lab: Lab, bundle: Path) -> list[str]:
    """The report for people."""
    return lab.done("report", bundle, "--engine", "bubblewrap").output.splitlines()


def test_a_printer_that_crashes_or_holds_gdb_costs_the_values_of_that_frame_alone(values: Path, lab: Lab) -> None:
    document = report_json(lab, gathered(lab, values, "values"), values)
    frames = {each["function"]: each for each in document["threads"][0]["frames"]}
    assert list(frames) == ["fall", "kill_gdb", "hold_gdb", "write_much", "main"]
    assert document["missing"] == []
    assert frames["kill_gdb"]["no_values"] == "gdb crashed: Fatal signal: Segmentation fault"
    assert "did not answer within" in frames["hold_gdb"]["no_values"]
    # Optimised out, cut, and too many.
    assert frames["fall"]["locals"] == [{"name": "unused", "value": "<optimized out>"}]
    (much,) = (each["value"] for each in frames["write_much"]["arguments"] if each["name"] == "much")
    assert (len(much), much[-1]) == (240, "…")
    assert frames["write_much"]["omitted"] == 1
    assert document["registers"]
    assert document["why"]


def test_a_stack_overflow_is_folded_and_shows_who_called_it(values: Path, lab: Lab) -> None:
    """The level that a call has come to tells the true number of frames; main calls level 0."""
    bundle = gathered(lab, values, "recursion")
    document, lines = report_json(lab, bundle, values), report_text(lab, bundle)
    crashed = document["threads"][0]
    level = int(crashed["frames"][1]["arguments"][0]["value"])  # of the innermost it may be beyond the stack's end
    *_, last = crashed["frames"]
    assert (last["function"], last["level"]) == ("main", level + 2)
    assert crashed["omitted"]["count"] > 100_000
    assert {each["name"] for each in crashed["omitted"]["functions"]} == {"even", "odd"}
    (folded,) = (line for line in lines if "recursion, " in line and line.startswith("  #2-"))
    assert folded.endswith((f" {level:,} more calls of even, odd", f" {level:,} more calls of odd, even"))


def test_threads_that_were_not_read_are_counted(values: Path, lab: Lab) -> None:
    lines = report_text(lab, gathered(lab, values, "threads"))
    assert "  977 of 2,001 threads are not shown" in lines
    (frame,) = (line for line in lines if line.startswith("  #0   touch "))
    assert frame.endswith(" [inlined]")


def test_names_and_frames_that_are_cut_say_so(values: Path, lab: Lab) -> None:
    bundle = gathered(lab, values, "deep")
    document, lines = report_json(lab, bundle, values), report_text(lab, bundle)
    thread = document["threads"][0]
    store, caller = thread["frames"][1:3]
    assert store["function"] == "store"
    assert (len(caller["function"]), caller["function"][-1]) == (1024, "…")
    (name,) = (each["name"] for each in store["locals"])
    assert (len(name), name[-1]) == (128, "…")
    # The innermost 96 and the outermost 32 are shown, and between them is said how many are not.
    assert len(thread["frames"]) == 96 + 32
    assert thread["frames"][-1]["function"] == "main"
    assert thread["omitted"]["after"] == 96
    assert thread["frames"][-1]["level"] == 96 + 32 + thread["omitted"]["count"] - 1
    numbers = [re.match(r"  #(\d+)(?:-#(\d+))?[ :]", line) for line in lines]
    told = {each for found in numbers if found for each in range(int(found[1]), int(found[2] or found[1]) + 1)}
    assert told == set(range(thread["frames"][-1]["level"] + 1))  # each is shown, or in a run that is counted
    without = [each["level"] for each in thread["frames"] if each["no_values"]]
    assert without == [each["level"] for each in thread["frames"][24:]]


def test_instructions_before_the_fault_are_found_by_an_exported_name(lab: Lab, tmp_path: Path) -> None:
    """A stripped library: its dynamic symbols tell where the function begins."""
    source = "int f(int *p) { int s = 0; for (int i = 0; i < 3; ++i) s += i; return s + *p; }"
    library, program = tmp_path / "libplain.so", tmp_path / "plain"
    build: list[str | Path] = ["gcc", "-O0", "-x", "c", "-"]
    subprocess.run([*build, "-shared", "-fPIC", "-s", "-o", library], input=source, text=True, check=True)
    main = "int f(int *); int main(void) { return f(0); }"
    link: list[str | Path] = [f"-Wl,-rpath,{tmp_path}", "-x", "none", library]
    subprocess.run([*build, "-s", "-o", program, *link], input=main, text=True, check=True)
    lab.done("gather", die(program), "-o", tmp_path / "plain.corebox")
    document = lab.done("report", tmp_path / "plain.corebox", "--engine", "bubblewrap", "--format", "json").json
    assert [each["current"] for each in document["disassembly"]].index(True) == 8
