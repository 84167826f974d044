"""Python's functions at the native frames that run them, as Python itself told them before it died."""

import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.documents import validate
from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import FOLDER, find_python

SOURCES = FOLDER / "pythons"
ORDERS = SOURCES / "stacks.py"
Functions = list[tuple[str, str, int]]


class Crash(NamedTuple):
    """A bundle, the report of it, and what Python said of each thread, the one that crashed first."""

    bundle: Path
    report: Any
    said: list[Functions]


def crashed(version: str, lab: Lab, folder: Path, script: Path, *words: str) -> Crash:
    """A Python that died of a script."""
    python = find_python(version)
    command = ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", python, str(script), *words]
    died = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    (core,) = folder.glob("core*")
    bundle = folder / "x.corebox"
    assert lab.corebox("gather", core, "-o", bundle).status in (0, 1)
    report = sound_report(lab, bundle, core, gdb_alone(core, Path(python)))
    validate(report, "report")
    return Crash(bundle, report, list(told(died.stderr)))


def told(said: str) -> list[Functions]:
    """By thread what faulthandler printed."""
    parts = sorted(said.split("\n\n"), key=lambda each: "Current thread" not in each)
    lines = (re.findall(r'^  File "(.*)", line (\d+) in (.*)$', part, re.MULTILINE) for part in parts)
    return [[(function, file, int(line)) for file, line, function in each] for each in lines]


def python_of(group: Any) -> Functions:
    return [(in_ascii(each["function"]), each["file"], each["line"]) for each in group["python"]]


def in_frames(group: Any) -> Functions:
    """The Python functions of the native frames."""
    frames = [frame for frame in group["frames"] if frame["language"] == "Python"]
    return [
        (in_ascii(each["function"]), each["file"], each["line"])
        for frame in frames
        for each in (frame, *frame["inlined_into"])
    ]


def in_ascii(name: str) -> str:
    """As faulthandler writes it."""
    return name.encode("ascii", "backslashreplace").decode()


@pytest.fixture(scope="module", params=["3.9", "3.11", "3.13"])
def crash(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Crash:
    """Three threads with C functions and generators between the Python functions."""
    return crashed(request.param, lab, tmp_path_factory.mktemp("python"), ORDERS, "3")


def test_every_thread_runs_what_python_said(crash: Crash) -> None:
    groups, said = crash.report["threads"], crash.said
    function, file, line = said[0][0]
    said[0][0] = (function, file, line + 1)  # it died in the line behind
    assert len(said) == len(groups) == 3
    assert python_of(groups[0]) == said[0]
    assert sorted(map(python_of, groups)) == sorted(said)
    for group in groups:
        told_of_frames = [
            each for each, at in zip(python_of(group), group["python"], strict=True) if at["native"] is not None
        ]
        assert in_frames(group) == told_of_frames
        assert group.get("omitted") or len(told_of_frames) == len(group["python"])


def test_each_function_is_between_the_c_functions_that_call_it_and_that_it_calls(crash: Crash) -> None:
    frames = crash.report["threads"][0]["frames"]
    names = [frame["function"] or "" for frame in frames]
    order = ["abort", "deep", "list_sort", "compare", "closure_fcn", "qsort", "digit", "pattern_subx", "sub"]
    at = -1
    for wanted in order:
        at = next(index for index, name in enumerate(names) if index > at and wanted in name)
    assert crash.report["family"] == "abort in stacks.py:deep"
    assert "stacks.py:deep < stacks.py:compare < stacks.py:digit" in crash.report["signature"]


def test_who_holds_the_lock_is_told(crash: Crash) -> None:
    """The thread that crashed ran Python code; the others wait without it."""
    names = [thread["name"] for group in crash.report["threads"] for thread in group["threads"]]
    assert [name.rpartition("Python thread")[2] for name in names] == [" that holds the GIL", "", ""]


def test_text_and_gdb_show_them(crash: Crash, lab: Lab) -> None:
    text = lab.done("report", crash.bundle, "--engine", "bubblewrap").output
    line = ORDERS.read_text().splitlines().index("        os.abort()") + 1
    assert re.search(rf"^  #\d+ +deep at {ORDERS}:{line} in \S+ \[Python\]$", text, re.MULTILINE), text
    assert f"where:     deep at {ORDERS}:{line}" in text
    shown = lab.gdb(crash.bundle, "bubblewrap", "bt").output
    assert re.search(rf"^#\d+ (.* in | *)deep \(\) at {ORDERS}:{line}$", shown, re.MULTILINE), shown


@pytest.mark.parametrize("version", ["3.8", "3.12"])
def test_a_crasher_of_cpython_itself(version: str, lab: Lab, tmp_path: Path) -> None:
    """The evaluator itself dies, in a generator that C runs."""
    script = SOURCES / "gc_inspection.py"
    made = crashed(version, lab, tmp_path, script)
    lines = script.read_text().splitlines()
    (inner, outer) = in_frames(made.report["threads"][0])
    assert inner == ("g", str(script), lines.index("    print(tup[1])") + 1)
    assert outer == ("<module>", str(script), lines.index("tuple(g())") + 1)
    assert made.report["family"] == "null-dereference in gc_inspection.py:g"
