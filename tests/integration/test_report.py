"""``corebox report`` and ``corebox similar`` on real crashes."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_why import die
from tests.support.crashes import compile_cxx
from tests.support.documents import validate
from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.site import Crash, Site

SOURCE = Path(__file__).parents[1] / "programs" / "faults" / "faults.cc"


@pytest.fixture(scope="module")
def report(bundle: Path, crash: Crash, site: Site, lab: Lab) -> Any:
    """The report of the site's crash: a comparison function called by qsort in a thread."""
    alone = gdb_alone(crash.core, site.root / crash.executable.lstrip("/"), root=site.root)
    document = sound_report(lab, bundle, crash.core, alone)
    validate(document, "report")
    return document


def test_the_crashed_thread_comes_first_and_alone(report: Any) -> None:
    first, *others = report["threads"]
    assert first["crashed"]
    assert len(first["threads"]) == 1
    assert first["frames"][0]["function"] == "compare"
    assert not any(group["crashed"] for group in others)
    assert sum(len(group["threads"]) for group in others) == 3


def test_frames_lie_in_the_modules_that_were_mapped(report: Any) -> None:
    for frame in report["threads"][0]["frames"]:
        module = next(each for each in report["manifest"]["modules"] if each["path"] == frame["module"])
        assert int(frame["pc"], 16) - int(module["start"], 16) == int(frame["offset"], 16)


def test_the_cause_is_told(report: Any) -> None:
    assert report["why"]["kind"] == "null-dereference"
    assert report["signature"].startswith("SIGSEGV null-dereference in compare < ")


def test_the_instruction_that_died_is_marked(report: Any) -> None:
    (current,) = (each for each in report["disassembly"] if each["current"])
    assert current["address"] == report["threads"][0]["frames"][0]["pc"]


def test_registers_are_those_of_the_crash(report: Any) -> None:
    registers = {each["name"]: each["value"] for each in report["registers"]}
    assert registers["rip"] == report["threads"][0]["frames"][0]["pc"]


def test_both_engines_and_both_formats_tell_the_same(report: Any, any_engine: str, bundle: Path, lab: Lab) -> None:
    lines = lab.done("report", bundle, "--engine", any_engine).output.splitlines()
    assert f"cause:     {report['why']['sentence']}" in lines
    assert f"signature: {report['signature']}" in lines
    frames = [line.split()[1] for line in lines if line.startswith("  #0 ")]
    assert frames[0] == "compare"


def test_without_the_customers_code(bundle: Path, lab: Lab) -> None:
    again = lab.done("report", bundle, "--no-customer-code", "--engine", "bubblewrap", "--format", "json").json
    assert again["threads"][0]["frames"][0]["function"] == "compare"


KINDS = ("null-read", "throw", "stack-overflow", "double-free")


def test_crashes_of_one_cause_are_similar(tmp_path: Path, lab: Lab) -> None:
    """C++, with and without optimisation: as many groups as there are faults."""
    names: dict[str, list[str]] = {}
    for level in ("-O0", "-O1"):
        program = compile_cxx(SOURCE, tmp_path / level / "faults", level, "-g")
        for kind in KINDS:
            out = tmp_path / f"{kind}{level}.corebox"
            lab.done("gather", die(program, kind), "-o", out)
            names.setdefault(kind, []).append(str(out))
    every = [name for group in names.values() for name in group]
    document = lab.done("similar", "--engine", "bubblewrap", "--json", *every).json
    validate(document, "similar")
    assert {frozenset(group["names"]) for group in document["groups"]} == set(map(frozenset, names.values()))


def test_two_crashes_of_one_release_are_compared(bundle: Path, second_bundle: Path, lab: Lab) -> None:
    document = lab.done("diff", bundle, second_bundle, "--engine", "bubblewrap", "--json").json
    validate(document, "diff")
    assert document["same_family"]
    assert document["modules"] == []
    assert document["stack"][0] == {"first": "compare", "second": "compare", "same": True}


def test_a_core_of_this_machine_needs_no_bundle(tmp_path: Path, lab: Lab) -> None:
    """And what its report is for an issue tracker has its stack in a block of code."""
    program = compile_cxx(SOURCE, tmp_path / "faults", "-O0", "-g")
    core = die(program, "null-read")
    command = ("report", core, "--engine", "bubblewrap")
    assert lab.corebox(*command).status == 3
    lines = lab.done(*command, "-e", program, "--format", "markdown").output.splitlines()
    assert lines[lines.index("### Crashed thread") + 2] == "```text"
    assert any(re.search(r"#0 .*null_read \(order=0x0\)", line) for line in lines)
