"""Colours and links, where the terminal has them and the user wants them.

What is printed has no escape sequence by itself (see ``output``), so that the ones put in here are the only ones.
"""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import click

CHOICES = ("auto", "always", "never")
_STYLES: Mapping[str, Mapping[str, object]] = {
    "bad": {"fg": "red", "bold": True},
    "good": {"fg": "green"},
    "doubtful": {"fg": "yellow"},
    "heading": {"bold": True},
    "hint": {"fg": "cyan"},
}
#: Terminals that say by one of these variables that they have links (OSC 8), or who they are.
_WITH_LINKS = ("KITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION", "DOMTERM")
_PROGRAMS = {"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "rio"}
_TERMS = re.compile(r"(?:xterm-)?(?:kitty|ghostty)|alacritty|foot(?:-extra)?|contour")
_VTE_WITH_LINKS = 5000

_chosen: bool | None = None


def choose(choice: str) -> None:
    """Take what the user said by ``--color``; what we start is told by the environment."""
    global _chosen  # noqa: PLW0603  # one for the process, as its terminal
    _chosen = _wanted(choice, os.environ)
    if choice == "never":
        os.environ["NO_COLOR"] = "1"
    elif choice == "always":
        os.environ.pop("NO_COLOR", None)


def _wanted(choice: str, environment: Mapping[str, str]) -> bool | None:
    """Whether there are colours; None leaves that to the stream: on terminals (no-color.org, bixense.com/clicolors)."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return False if environment.get("CLICOLOR") == "0" or environment.get("TERM") == "dumb" else None


def wanted() -> bool | None:
    """What click's ``echo`` is to do with colours: True keeps them, False removes them, None asks the stream."""
    return _wanted("auto", os.environ) if _chosen is None else _chosen


def painted(text: str, role: str) -> str:
    """The text in the colour of what it means."""
    style = _STYLES.get(role)
    return click.style(text, **style) if style else text  # type: ignore[arg-type]  # they are click's own


def linked(text: str, path: Path, *, is_terminal: bool) -> str:
    """The text as a link to a file, where that shows as one (the specification of OSC 8 by Koblinger)."""
    if wanted() is False or not is_terminal or not has_links(os.environ):
        return text
    url = f"file://{socket.gethostname()}{quote(os.fsencode(path.absolute()))}"
    return f"\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\"


def has_links(environment: Mapping[str, str]) -> bool:
    """Whether the terminal is known to have links; others may show the sequence as text."""
    if environment.get("FORCE_HYPERLINK", "0") != "0":
        return True
    vte = environment.get("VTE_VERSION", "")
    return (
        any(environment.get(name) for name in _WITH_LINKS)
        or environment.get("TERM_PROGRAM") in _PROGRAMS
        or (vte.isascii() and vte.isdigit() and int(vte) >= _VTE_WITH_LINKS)
        or _TERMS.fullmatch(environment.get("TERM", "")) is not None
    )


option = click.option(
    "--color",
    type=click.Choice(CHOICES),
    default="auto",
    expose_value=False,
    callback=lambda _context, _parameter, choice: choose(choice),
    help="Colours and links; auto: on terminals.",
)

_LABEL = re.compile(r"(?:crash|cause|where|family|signature|memory):(?= )")
_HEADING = re.compile(r"(?:[a-z]+|[\w,() -]*threads? .*):")
_FRAME = re.compile(r"  #\d+(?:-#\d+:)?")


def report_line(line: str) -> str:
    """A line of a report as text: labels and headings stand out, and so does the thread that crashed."""
    if label := _LABEL.match(line):
        return painted(label[0], "heading") + line[label.end() :]
    if frame := _FRAME.match(line):
        return painted(frame[0], "doubtful") + line[frame.end() :]
    if _HEADING.fullmatch(line):
        return painted(line, "bad" if line.endswith(", which crashed:") else "heading")
    return line
