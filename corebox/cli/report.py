"""``corebox report``."""

import json
from pathlib import Path

import click

from corebox.actions.report import memory_regions, report, require_stack, write_report
from corebox.actions.subject import image_of
from corebox.cli import options, output
from corebox.cli.session import Session, session
from corebox.errors import InputError
from corebox.printable import printable
from corebox.report.page import html_page
from corebox.report.text import text_lines
from corebox.store.store import Store


@click.command("report", short_help="Tell all about a crash: cause, stacks, registers, modules.")
@options.subject
@session
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="For people, machines, or a page for both.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=options.PATH,
    metavar="FILE",
    help="Write there instead.",
)
@click.option("--time-limit", default=300.0, show_default=True, metavar="SECONDS", help="Stop gdb after so long.")
def command(
    *,
    session: Session,
    subject: str,
    form: str,
    out: Path | None,
    time_limit: float,
) -> int:
    """Tell all about a crash: its cause, stacks with arguments, registers, instructions and modules.

    gdb is asked in the sandbox; a bundle is built first if need be.
    """
    store = Store.default()
    found = session.find(store, subject)
    made = report(store, found, subject, time_limit, session.options, output.progress())
    if form == "html":
        text = html_page(made, memory_regions(store, image_of(store, found)))
    elif form == "json":
        text = json.dumps(made.to_json(), sort_keys=True, indent=1) + "\n"
    else:
        text = "".join(printable(line) + "\n" for line in text_lines(made))
    if out:
        write_report(out, text)
    else:
        click.echo(text, nl=False)
    try:
        require_stack(made)
    except InputError as error:
        output.complain(error)
        return 1
    return 0
