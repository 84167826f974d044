"""Printing. Whatever comes from a core is data: nothing of it may move the cursor or look like our own words."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from corebox.cli.colour import linked, painted, wanted
from corebox.errors import CoreboxError
from corebox.printable import format_size, printable

# What the parts of a build mean to somebody who waits for them.
_STEPS = {
    "toolbox": "preparing gdb",
    "bundle": "reading the bundle",
    "system": "writing the system libraries",
    "program": "writing the program",
    "symbols": "writing the symbols",
    "docker": "building with Docker",
    "engine": "loading into the engine",
}


def say(text: str) -> None:
    """Print a line of output."""
    click.echo(printable(text))


def say_as(role: str, mark: str, rest: str) -> None:
    """Print a line of output whose beginning has the colour of ``role`` (see ``colour``)."""
    click.echo(painted(printable(mark), role) + printable(rest), color=wanted())


def say_file(label: str, path: Path, rest: str = "") -> None:
    """Print which file was written, as a link where the terminal has links."""
    shown = linked(printable(str(path)), path, is_terminal=sys.stdout.isatty())
    click.echo(f"{label}{shown}{printable(rest)}", color=wanted())


def say_json(document: Any) -> None:
    """Print a document for machines."""
    click.echo(json.dumps(document, sort_keys=True, indent=1))


def note(text: str) -> None:
    """Print a line that is no output."""
    click.echo(printable(text), err=True)


def complain(error: CoreboxError) -> None:
    """Print an error and what to do about it."""
    for mark, text, role in (("error:", error.message, "bad"), ("hint:", error.hint, "hint")):
        click.echo(f"{painted(mark, role)} {printable(text)}", err=True, color=wanted())


def table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows in aligned columns."""
    escaped = [tuple(printable(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
    for row in escaped:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def say_csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows for a spreadsheet, which takes what begins with such a sign for a formula to be computed."""
    writer = csv.writer(sys.stdout)
    writer.writerow(names)
    for row in rows:
        writer.writerow(f"'{each}" if str(each)[:1] in ("=", "+", "-", "@") else each for each in row)


def size(count: int) -> str:
    """Bytes for people: ``1.2 GB``."""
    return format_size(count, "B")


def progress() -> Callable[[str], None]:
    """A callback that tells each step on a terminal and is silent elsewhere."""

    def tell(step: str) -> None:
        if sys.stderr.isatty():
            note(f"{_STEPS.get(step, step)} ...")

    return tell
