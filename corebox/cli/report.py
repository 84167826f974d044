"""``corebox report``."""

from pathlib import Path

import click

from corebox.actions.report import report
from corebox.actions.shell import ShellOptions
from corebox.actions.subject import Pulling, resolve
from corebox.cli import options, output
from corebox.cli.meter import meter
from corebox.report import text_lines
from corebox.store import Store


@click.command("report")
@options.subject
@options.symbols
@options.identity
@options.engine
@options.registry
@options.no_customer_code
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or for machines.",
)
@click.option("--time-limit", default=300.0, show_default=True, metavar="SECONDS", help="Stop gdb after so long.")
def command(
    subject: str,
    symbols: tuple[Path, ...],
    identity: Path | None,
    engine: str,
    ca_file: Path | None,
    plain_http: bool,
    no_customer_code: bool,
    form: str,
    time_limit: float,
) -> int:
    """Tell all about a crash: its cause, stacks with arguments, registers, instructions and modules.

    gdb is asked in the sandbox; a bundle is built first if need be.
    """
    store = Store.default()
    chosen = ShellOptions(engine=engine, customer_code=not no_customer_code, symbols=symbols)
    found = resolve(store, subject, Pulling(meter("pulling"), ca_file, plain_http), identity)
    made = report(store, found, subject, time_limit, chosen, output.progress())
    if form == "json":
        output.say_json(made.to_json())
    else:
        for line in text_lines(made):
            output.say(line)
    return 0
