"""Colours and links: where they are wanted, and nowhere else."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from corebox.cli import colour
from corebox.cli.main import main

RED = "\x1b[31m"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A terminal of which nothing is known, and nothing chosen."""
    for name in (*os.environ, "FORCE_HYPERLINK"):
        if "COLOR" in name or name in ("TERM", "TERM_PROGRAM", "VTE_VERSION", "FORCE_HYPERLINK"):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(colour, "_chosen", None)
    monkeypatch.setenv("COREBOX_HOME", str(tmp_path / "home"))


def on_terminal(*words: str, **environment: str) -> str:
    """What corebox writes as errors on a terminal."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as reading:
        process = subprocess.Popen(
            [sys.executable, "-m", "corebox", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", **environment},
        )
        os.close(theirs)
        said = b""
        try:
            while piece := reading.read(4096):
                said += piece
        except OSError:  # nobody has the other end any more (pty(7))
            pass
        process.wait()
    return said.decode()


@pytest.mark.parametrize(
    ("words", "environment", "coloured"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
        (("--color=never",), {"CLICOLOR_FORCE": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ],
)
def test_on_a_terminal(words: tuple[str, ...], environment: dict[str, str], coloured: bool) -> None:
    said = on_terminal(*words, "rm", "nothing", **environment)
    assert (RED in said, "\x1b" in said) == (coloured, coloured)
    assert "no image nothing" in said


@pytest.mark.parametrize(
    ("words", "environment", "coloured"),
    [
        ((), {}, False),
        ((), {"CLICOLOR_FORCE": "1"}, True),
        ((), {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False),
        ((), {"CLICOLOR_FORCE": "0"}, False),
        (("--color=always",), {}, True),
    ],
)
def test_where_no_terminal_is(
    words: tuple[str, ...],
    environment: dict[str, str],
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main([*words, "rm", "nothing"]) == 3
    assert (RED in capsys.readouterr().err) == coloured


def test_what_was_chosen_holds_for_gdb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    colour.choose("never")
    assert os.environ["NO_COLOR"] == "1"
    colour.choose("always")
    assert "NO_COLOR" not in os.environ


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "4900"}, False),
        ({"TERM": "screen", "FORCE_HYPERLINK": "1"}, True),
        ({"TERM_PROGRAM": "vscode"}, True),
        ({"TERM_PROGRAM": "Apple_Terminal"}, False),
    ],
)
def test_which_terminals_have_links(environment: dict[str, str], expected: bool) -> None:
    assert colour.has_links(environment) == expected


def test_a_link_names_the_file_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_HYPERLINK", "1")
    shown = colour.linked("x", Path("/tmp/a b;\x1b\udcff"), is_terminal=True)
    assert shown.startswith("\x1b]8;;file://")
    assert shown.endswith("/tmp/a%20b%3B%1B%FF\x1b\\x\x1b]8;;\x1b\\")
    assert colour.linked("x", Path("/tmp"), is_terminal=False) == "x"
    colour.choose("never")
    assert colour.linked("x", Path("/tmp"), is_terminal=True) == "x"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("cause:     a null pointer", "\x1b[1mcause:\x1b[0m     a null pointer"),
        ("  #0   f () in x", "\x1b[33m  #0\x1b[0m   f () in x"),
        ("thread 1 (LWP 7), which crashed:", "\x1b[31m\x1b[1mthread 1 (LWP 7), which crashed:\x1b[0m"),
        ("modules:", "\x1b[1mmodules:\x1b[0m"),
        ("  /lib/x.so: verified", "  /lib/x.so: verified"),
    ],
)
def test_a_line_of_a_report(line: str, shown: str) -> None:
    assert colour.report_line(line) == shown
