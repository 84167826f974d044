"""The goroutines of a Go program without symbols: as its runtime printed them when it crashed."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import FOLDER

OWN = ["main.price", "main.(*order).total", "main.checkout", "main.main.func1"]


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> tuple[Path, str]:
    """The bundle, and what the program printed."""
    folder = tmp_path_factory.mktemp("go")
    (folder / "main.go").write_bytes((FOLDER / "goroutines/main.go").read_bytes())
    (folder / "go.mod").write_text("module shop\n\ngo 1.19\n")
    subprocess.run(["go", "build", "-ldflags", "-s -w", "-o", "shop", "."], cwd=folder, check=True)
    command = "ulimit -c unlimited; GOMAXPROCS=1 GOTRACEBACK=crash exec ./shop index"
    said = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    assert lab.corebox("gather", folder / "core", "-o", folder / "shop.corebox").status in (0, 1)
    return folder / "shop.corebox", said.stderr


def printed(said: str) -> dict[int, tuple[str, list[str]]]:
    """State and frames of each goroutine of the program's own, as Go's runtime prints them."""
    found: dict[int, tuple[str, list[str]]] = {}
    for number, state, stack in re.findall(r"^goroutine (\d+) \[([^],]+)[^]]*\]:\n((?:.+\n)+)", said, re.MULTILINE):
        frames = re.findall(r"^(.+?)(?:\([^()]*\)| in goroutine \d+)?\n\t(\S+:\d+)", stack, re.MULTILINE)
        if "main." in stack and number != "0":
            found.setdefault(int(number), (state, [f"{name} at {place}" for name, place in frames]))
    return found


def shown(lines: str) -> dict[int, tuple[str, list[str]]]:
    """The same out of what we print."""
    found: dict[int, tuple[str, list[str]]] = {}
    heads = r"^(?:goroutine|\d+ goroutines) \(?([\d, ]+)\)? \[(?:waiting: )?([^]]+)\].*\n((?:  .+\n)+)"
    for numbers, state, stack in re.findall(heads, lines, re.MULTILINE):
        frames = [each.strip() for each in stack.splitlines() if not each.startswith("  panic: ")]
        found.update({int(number): (state, frames) for number in numbers.split(", ")})
    return found


def test_goroutines_are_as_the_runtime_printed_them(crash: tuple[Path, str], lab: Lab) -> None:
    bundle, said = crash
    ours = lab.gdb(bundle, "bubblewrap", "corebox goroutines").output
    expected, found = printed(said), shown(ours)
    assert len(expected) == 9, said
    failed = next(iter(expected))
    for number, (state, frames) in expected.items():
        if number == failed:  # printed from the panic on, which is called by another name
            at = next(index for index, each in enumerate(found[number][1]) if each.startswith("runtime.gopanic "))
            assert found[number][1][at + 1 :] == frames[1:], ours
        else:
            assert found[number] == (state, frames), ours
    assert next(iter(found)) == failed
    assert "  panic: runtime error: index out of range [2] with length 2\n" in ours
    assert "3 goroutines (" in ours


def test_the_stack_has_names_without_symbols(crash: tuple[Path, str], lab: Lab) -> None:
    bundle, _ = crash
    core = bundle.with_name("core")
    report: Any = sound_report(lab, bundle, core, gdb_alone(core, bundle.with_name("shop")))
    assert report["why"]["sentence"] == "Go panic: runtime error: index out of range [2] with length 2"
    own = [each for each in report["threads"][0]["frames"] if (each["function"] or "").startswith("main.")]
    assert [each["function"] for each in own] == [OWN[0], OWN[-1]]  # those between are inlined
    assert {each["language"] for each in own} == {"Go"}
    assert own[0]["file"].endswith("/main.go")
    assert report["family"] == "go-panic in main.price"
    shown_by_gdb = lab.gdb(bundle, "bubblewrap", "bt").output
    named = re.findall(r" in (main\.\S+) \(\) at \S+/main\.go:\d+$", shown_by_gdb, re.MULTILINE)
    assert named == OWN, shown_by_gdb
