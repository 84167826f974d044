"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from corebox.cli.complete import FOLDER, SUBJECT
from corebox.engine.choose import NAMES

# That a file cannot be read is told by who reads it: it is bad input, not wrong usage.
PATH = click.Path(path_type=Path, readable=False)
FILE = click.Path(path_type=Path, readable=False, dir_okay=False)
EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False)

Function = TypeVar("Function", bound=Callable[..., Any])


def subject(function: Function) -> Function:
    """The argument SUBJECT."""
    return click.argument("subject", type=SUBJECT)(function)


def as_json(function: Function) -> Function:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON; its schema is documented.")(function)


def root(function: Function) -> Function:
    """--root, for bare cores."""
    help_text = "For a bare core: compare with the files below DIR."
    option = click.option("--root", type=FOLDER, default="/", metavar="DIR", show_default=True, help=help_text)
    return option(function)


def identity(function: Function) -> Function:
    """--identity."""
    option = click.option(
        "--identity",
        type=EXISTING,
        metavar="FILE",
        help="The private key (age or PEM) of an encrypted bundle.",
    )
    return option(function)


def registry(function: Function) -> Function:
    """--ca-file, --plain-http and --registry."""
    ca_file = click.option(
        "--ca-file",
        type=FILE,
        metavar="FILE",
        help="Also trust this CA, in PEM format, besides the system's and /etc/docker/certs.d/HOST/*.crt.",
    )
    help_text = "Allow HTTP without TLS; always allowed for localhost."
    place = click.option("--registry", metavar="HOST[/REPOSITORY]", help="Registry for image names without one.")
    return ca_file(click.option("--plain-http", is_flag=True, help=help_text)(place(function)))


def output_file(function: Function) -> Function:
    """-o, for what is written to standard output without it."""
    help_text = "Write to FILE instead of standard output."
    return click.option("-o", "--output", "out", type=FILE, metavar="FILE", help=help_text)(function)


def other_symbols(function: Function) -> Function:
    """--force and --no-debuginfod."""
    force = click.option("--force", is_flag=True, help="Use the named file even if its build ID differs.")
    help_text = "Do not ask the debuginfod servers in DEBUGINFOD_URLS."
    return force(click.option("--no-debuginfod", is_flag=True, help=help_text)(function))


def sources(function: Function) -> Function:
    """--source."""
    option = click.option(
        "--source",
        "sources",
        type=FOLDER,
        multiple=True,
        metavar="DIR[=PREFIX]",
        help="Where source files are, and what that folder was called when the program was compiled; or debuginfod, to "
        "ask debuginfod servers. Repeatable.",
    )
    return option(function)


def time_limit(function: Function) -> Function:
    """--time-limit."""
    option = click.option(
        "--time-limit",
        default=300.0,
        show_default=True,
        metavar="SECONDS",
        help="Time limit for gdb.",
    )
    return option(function)


def no_customer_code(function: Function) -> Function:
    """--no-customer-code."""
    help_text = "Do not load the customer's gdb scripts or libthread_db."
    return click.option("--no-customer-code", is_flag=True, help=help_text)(function)


def output_folder(function: Function) -> Function:
    """--output."""
    folder = click.Path(path_type=Path, file_okay=False, readable=False)
    return click.option("--output", type=folder, metavar="DIR", help="Keep files the session writes in DIR.")(function)


def engine(function: Function) -> Function:
    """--engine."""
    help_text = "Where to run gdb; auto: Docker or Podman if one works, else bubblewrap."
    option = click.option("--engine", type=click.Choice(NAMES), default="auto", show_default=True, help=help_text)
    return option(function)
