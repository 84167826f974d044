"""JavaScript's functions in the stack of a node core: interpreted and compiled, in every view, as node prints them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import REPOSITORY

SHOP = REPOSITORY / "tests/programs/javascript/shop.js"
STACK = ["weightOf", "(anonymous)", "weigh", "audit", "onAudit"]
LINES = [11, 7, 7, 15, 22]


#: Words before and after the program's name. Code of the baseline compiler alone keeps its frame pointer by a helper.
KINDS = {"interpreted": ("", "interpreted"), "compiled": ("", "compiled"), "baseline": ("--no-opt", "compiled")}


def crashed(folder: Path, lab: Lab, options: str, argument: str) -> tuple[Path, str]:
    """The bundle of the program's crash, and what node printed."""
    program = shutil.copy(SHOP, folder)
    command = f"ulimit -c unlimited; exec node {options} {program} {argument}"
    said = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    assert lab.corebox("gather", folder / "core", "-o", folder / "x.corebox").status in (0, 1)
    return folder / "x.corebox", said.stderr


@pytest.fixture(scope="module", params=KINDS)
def crash(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    bundle, said = crashed(tmp_path_factory.mktemp(request.param), lab, *KINDS[request.param])
    return bundle, said, request.param


def javascript(report: Any) -> list[Any]:
    return [frame for frame in report["threads"][0]["frames"] if frame["language"] == "JavaScript"]


def test_each_function_stands_at_the_frame_that_runs_it(crash: tuple[Path, str, str], lab: Lab) -> None:
    bundle, said, kind = crash
    core = bundle.with_name("core")
    report = sound_report(lab, bundle, core, gdb_alone(core, Path("/usr/bin/node")))
    shown = [(each["function"], each["line"]) for each in javascript(report) if str(each["file"]).endswith("/shop.js")]
    if kind == "interpreted":
        assert shown == list(zip(STACK, LINES, strict=True))
    else:  # what was inlined has no frame, what is compiled has no line: none is ever wrong
        names = [name for name, _ in shown]
        assert [name for name in STACK if name in names] == names
        assert all(line in (None, LINES[STACK.index(name)]) for name, line in shown)
        assert {"weightOf", "onAudit"} <= set(names)
    printed = re.findall(
        r"^\d+: (?:(\w+) \()?(\S+?):(\d+):\d+\)?$", said.partition("JavaScript stack")[2], re.MULTILINE
    )
    own = [(name or "(anonymous)", int(line)) for name, path, line in printed if path.endswith("/shop.js")]
    assert own in ([], list(zip(STACK, LINES, strict=True)))  # releases before 20 do not print it
    assert report["signature"].startswith("SIGABRT abort in weightOf < (anonymous) in shop.js < ")
    natives = [each["function"] or "" for each in report["threads"][0]["frames"]]
    assert "main" in natives or "_start" in natives


def test_gdb_shows_them_too(crash: tuple[Path, str, str], lab: Lab) -> None:
    shown = lab.gdb(crash[0], "bubblewrap", "bt").output
    place = r"\S+/shop\.js" + ("" if crash[2] == "baseline" else ":11")
    assert re.search(rf"^#\d+ +0x[0-9a-f]+ in weightOf \(\) at {place}$", shown, re.MULTILINE), shown
    assert re.search(r"^#\d+ +0x[0-9a-f]+ in onAudit \(\) at \S+/shop\.js", shown, re.MULTILINE), shown


def test_no_frame_is_made_up(crash: tuple[Path, str, str], lab: Lab) -> None:
    """As many machine frames with the filter as without it."""
    shown = lab.gdb(crash[0], "bubblewrap", "bt", "echo bare:\\n", "bt -no-filters").output
    ours, _, bare = shown.partition("bare:")
    numbers = [re.findall(r"^#(\d+) ", each, re.MULTILINE) for each in (ours, bare)]
    assert numbers[0][-len(numbers[1]) :] == numbers[1]
