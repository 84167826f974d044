"""``corebox report``."""

import json
from pathlib import Path

import click

from corebox.actions.report import report, require_stack, write_report
from corebox.actions.subject import BareCore, keep_subject
from corebox.cli import colour, options, output
from corebox.cli.session import Session, session
from corebox.errors import InputError
from corebox.printable import printable
from corebox.report.markdown import markdown_lines
from corebox.report.page import html_page
from corebox.report.text import text_lines
from corebox.store.store import Store


@click.command("report", short_help="Show everything known about a crash.")
@options.subject
@click.option(
    "-e",
    "--executable",
    type=options.PATH,
    metavar="EXE",
    help="Use another executable, e.g. unstripped; SUBJECT may then be a bare core.",
)
@session
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "html", "markdown"]),
    default="text",
    show_default=True,
    help="text for a terminal, json for machines, html for a page, markdown for an issue tracker.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=options.PATH,
    metavar="FILE",
    help="Write to FILE instead of standard output.",
)
@options.time_limit
def command(
    *,
    session: Session,
    subject: str,
    executable: Path | None,
    form: str,
    out: Path | None,
    time_limit: float,
) -> int:
    """Show everything known about a crash: cause, stacks with arguments, registers, instructions, modules.

    gdb runs in the sandbox; the image of a bundle is built first if necessary.
    """
    store = Store.default()
    found = session.find(store, subject)
    keep_subject(found, out)
    chosen = session.options._replace(executable=executable)
    if isinstance(found, BareCore) and executable:
        # Imported here: few reports are of a bare core.
        from corebox.actions.barecore import opened_core  # noqa: PLC0415

        found, chosen = opened_core(store, found, executable, output.progress()), session.options
    drawn = form == "html"
    made, regions = report(store, found, subject, time_limit, chosen, output.progress(), with_regions=drawn)
    if drawn:
        text = html_page(made, regions)
    elif form == "json":
        text = json.dumps(made.to_json(), sort_keys=True, indent=1) + "\n"
    elif form == "markdown":
        text = "".join(line + "\n" for line in markdown_lines(made))
    else:
        text = "".join(printable(line) + "\n" for line in text_lines(made))
    if out:
        write_report(out, text)
    elif form == "text":
        for line in text.removesuffix("\n").split("\n"):
            click.echo(colour.report_line(line), color=colour.wanted())
    else:
        click.echo(text, nl=False)
    try:
        require_stack(made)
    except InputError as error:
        output.complain(error)
        return 1
    return 0
