"""The goroutines of a Go program without symbols: as its runtime printed them when it crashed."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.evidence import SWITCHES, gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import FOLDER

OWN = ["main.price", "main.(*order).total", "main.checkout", "main.main.func1"]


def build(folder: Path, name: str, flags: str = "-s -w") -> Path:
    """A program, without symbols unless other ``flags`` are given to its linker."""
    (folder / "main.go").write_bytes((FOLDER / name / "main.go").read_bytes())
    (folder / "go.mod").write_text("module shop\n\ngo 1.19\n")
    subprocess.run(["go", "build", "-ldflags", flags, "-o", "shop", "."], cwd=folder, check=True)
    return folder / "shop"


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> tuple[Path, str]:
    """The bundle, and what the program printed."""
    folder = tmp_path_factory.mktemp("go")
    build(folder, "goroutines")
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


def test_reports_have_the_goroutines(crash: tuple[Path, str], lab: Lab) -> None:
    bundle, said = crash
    report = lab.done("report", bundle, "--format", "json").json
    known, expected = report["goroutines"], printed(said)
    failed = next(iter(expected))
    assert known["groups"][0]["numbers"] == [failed]
    assert known["groups"][0]["panic"] == "runtime error: index out of range [2] with length 2"
    assert report["threads"][0]["threads"][0]["name"] == f"goroutine {failed}"
    found = {number: each for each in known["groups"] for number in each["numbers"]}
    for number in set(expected) - {failed}:
        frames = [f"{each['function']} at {each['file']}:{each['line']}" for each in found[number]["frames"]]
        assert [*frames, *created(found[number])] == expected[number][1]
    assert known["count"] == sum(each["count"] for each in known["groups"]) + known["omitted"]
    for form in ("text", "markdown", "html"):
        shown = lab.done("report", bundle, "--format", form).output
        assert "3 goroutines (" in shown
        assert shown.index("runtime error: index out of range [2] with length 2") < shown.rindex("main.worker")


def created(group: Any) -> list[str]:
    by = group["created_by"]
    return [f"created by {by['function']} at {by['file']}:{by['line']}"] if by else []


def test_the_session_names_functions_and_threads(crash: tuple[Path, str], lab: Lab) -> None:
    bundle, said = crash
    ask = "python from corebox.gdbside.runtimes import gocore; print(gocore.thread_names())"
    ours = lab.gdb(bundle, "bubblewrap", "corebox stack", ask).output
    assert re.findall(r"^#\d+ +runtime +0x[0-9a-f]+  (main\.\S+)$", ours, re.MULTILINE) == [OWN[0], OWN[-1]], ours
    assert not re.findall(r"^#\d+ .* \?\?$", ours, re.MULTILINE)
    assert f"{{1: 'goroutine {next(iter(printed(said)))}'}}" in ours


# What a thread runs when Go's runtime ends the process is on a stack of its own: the goroutine has to be looked for.
FATAL = {
    "unlock": ("sync: unlock of unlocked mutex", "main.run"),
    "overflow": ("stack overflow", "main.deep"),
    "deadlock": ("all goroutines are asleep - deadlock!", "main.run"),
    "maps": ("concurrent map iteration and map write", "main.rates"),  # as in DataDog/datadog-agent#2923
}


@pytest.mark.parametrize("kind", FATAL)
def test_fatal_errors_without_symbols(kind: str, lab: Lab, tmp_path: Path) -> None:
    program = build(tmp_path, "fatal")
    said = subprocess.run(
        ["sh", "-c", f"ulimit -c unlimited; GOTRACEBACK=crash exec {program} {kind}"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    ).stderr  # fmt: skip
    assert lab.corebox("gather", tmp_path / "core", "-o", tmp_path / "x.corebox").status in (0, 1)
    report = lab.done("report", tmp_path / "x.corebox", "--format", "json").json
    error, function = FATAL[kind]
    assert f"fatal error: {error}" in said
    assert report["why"]["sentence"] == f"Go fatal error: {error}"
    assert report["family"] == f"go-fatal-error in {function}"
    assert report["threads"][0]["complete"]


def test_no_stack_of_a_program_with_symbols_leads_where_another_stack_goes_on(lab: Lab, tmp_path: Path) -> None:
    """gdb alone shows whatever function the word above such a stack points into as a caller."""
    program = build(tmp_path, "fatal", "")
    subprocess.run(
        ["sh", "-c", f"ulimit -c unlimited; GOTRACEBACK=crash exec {program} maps"], cwd=tmp_path, check=False
    )
    assert lab.corebox("gather", tmp_path / "core", "-o", tmp_path / "x.corebox").status in (0, 1)
    report = lab.done("report", tmp_path / "x.corebox", "--format", "json").json
    stacks = [[frame["function"] for frame in thread["frames"]] for thread in report["threads"]]
    assert any(name in stack for stack in stacks for name in SWITCHES), stacks
    assert not [stack for stack in stacks if any(name in stack[:-1] for name in SWITCHES)]
    assert not report["goroutines"]["by_shape"]
