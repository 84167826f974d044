"""Python's functions in the report and its signature: interpreters, cuts, and versions that cannot be read."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import validate
from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import FOLDER, find_python

SCRIPT = FOLDER / "pythons" / "crash.py"


def report_of(version: str, how: str, lab: Lab, folder: Path) -> Any:
    """The report of a Python that died so."""
    python = find_python(version)
    shell = f"ulimit -c unlimited; exec {python} {SCRIPT} {how}"
    subprocess.run(["sh", "-c", shell], cwd=folder, check=False, capture_output=True)
    (core,) = folder.glob("core*")
    lab.corebox("gather", core, "-o", folder / "x.corebox")
    made = sound_report(lab, folder / "x.corebox", core, gdb_alone(core, Path(python)))
    validate(made, "report")
    return made


def functions(report: Any) -> list[str]:
    return [each["function"] for each in report["threads"][0]["python"]]


def test_the_innermost_python_function_is_the_family(machine: None, lab: Lab, tmp_path: Path) -> None:
    made = report_of("3.11", "plain", lab, tmp_path)
    assert made["family"] == "null-dereference in crash.py:read_invoice"
    assert functions(made) == ["string_at", "read_invoice", "<module>"]


def test_frames_of_all_interpreters_the_entered_one_inside(machine: None, lab: Lab, tmp_path: Path) -> None:
    made = report_of("3.11", "other", lab, tmp_path)
    assert functions(made) == ["string_at", "read_ledger", "<module>", "in_another_interpreter", "<module>"]


def test_python_frames_that_are_cut_are_counted(machine: None, lab: Lab, tmp_path: Path) -> None:
    made = report_of("3.11", "deep", lab, tmp_path)
    assert len(functions(made)) == 512
    assert made["threads"][0]["python_omitted"] == 1003 - 512


@pytest.mark.parametrize("version", ["2.7", "3.6"])
def test_an_old_python_is_told_as_not_supported(version: str, machine: None, lab: Lab, tmp_path: Path) -> None:
    made = report_of(version, "plain", lab, tmp_path)
    reasons = {each["part"]: each["reason"] for each in made["missing"]}
    assert reasons["python"] == f"CPython {version} is not supported; 3.7 and later are"
    assert made["why"]["kind"] == "null-dereference"
    assert made["family"].startswith("null-dereference in ")
    said = lab.done("report", tmp_path / "x.corebox", "--engine", "bubblewrap").output
    assert f"CPython {version} is not supported" in said
