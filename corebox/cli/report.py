"""``corebox report``."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from corebox.actions.report import report, require_stack, write_report
from corebox.actions.subject import BareCore, keep_subject
from corebox.cli import colour, options, output
from corebox.cli.session import Session, session
from corebox.errors import InputError
from corebox.printable import printable
from corebox.report.document import Report
from corebox.report.markdown import markdown_lines
from corebox.report.page import html_page
from corebox.report.regions import Region
from corebox.report.text import text_lines
from corebox.store.store import Store

#: The form by the suffix of the file; a terminal's has none.
_SUFFIXES = {".txt": "text", ".json": "json", ".html": "html", ".md": "markdown"}


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
    type=click.Choice(list(_SUFFIXES.values())),
    help="text for a terminal, json for machines, html for a page, markdown for an issue tracker."
    "  [default: by FILE's suffix .json, .html or .md, else text]",
)
@click.option(
    "-o",
    "--output",
    "outs",
    type=options.PATH,
    metavar="FILE",
    multiple=True,
    help="Write to FILE instead of standard output; repeatable, so that gdb is asked once for several forms.",
)
@options.time_limit
def command(
    *,
    session: Session,
    subject: str,
    executable: Path | None,
    form: str | None,
    outs: tuple[Path, ...],
    time_limit: float,
) -> int:
    """Show everything known about a crash: cause, stacks with arguments, registers, instructions, modules.

    gdb runs in the sandbox; the image of a bundle is built first if necessary.
    """
    store = Store.default()
    found = session.find(store, subject)
    for out in outs:
        keep_subject(found, out)
    forms = [form or _SUFFIXES.get(out.suffix, "text") for out in outs] or [form or "text"]
    chosen = session.options._replace(executable=executable)
    if isinstance(found, BareCore) and executable:
        # Imported here: few reports are of a bare core.
        from corebox.actions.barecore import opened_core  # noqa: PLC0415

        found, chosen = opened_core(store, found, executable, output.progress()), session.options
    made, regions = report(store, found, subject, time_limit, chosen, output.progress(), with_regions="html" in forms)
    for out, each in zip(outs, forms, strict=False):
        write_report(out, _text_of(made, regions, each))
    if not outs:
        _show(_text_of(made, regions, forms[0]), forms[0])
    try:
        require_stack(made)
    except InputError as error:
        output.complain(error)
        return 1
    return 0


def _text_of(made: Report, regions: Sequence[Region], form: str) -> str:
    if form == "html":
        return html_page(made, regions)
    if form == "json":
        return json.dumps(made.to_json(), sort_keys=True, indent=1) + "\n"
    lines = markdown_lines(made) if form == "markdown" else map(printable, text_lines(made))
    return "".join(line + "\n" for line in lines)


def _show(text: str, form: str) -> None:
    if form != "text":
        click.echo(text, nl=False)
        return
    for line in text.removesuffix("\n").split("\n"):
        click.echo(colour.report_line(line), color=colour.wanted())
