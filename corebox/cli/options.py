"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from corebox.engine import NAMES

Function = TypeVar("Function", bound=Callable[..., Any])


def subject(function: Function) -> Function:
    """The argument SUBJECT."""
    return click.argument("subject")(function)


def as_json(function: Function) -> Function:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines (a shipped schema).")(function)


def root(function: Function) -> Function:
    """--root, for bare cores."""
    help_text = "For a bare core: compare with the files below DIR."
    option = click.option("--root", default="/", metavar="DIR", show_default=True, help=help_text)
    return option(function)


def engine(function: Function) -> Function:
    """--engine."""
    help_text = "Where to run gdb; auto takes Docker or Podman if one answers, else bubblewrap."
    option = click.option("--engine", type=click.Choice(NAMES), default="auto", show_default=True, help=help_text)
    return option(function)
