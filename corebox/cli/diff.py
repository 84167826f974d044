"""``corebox diff``."""

import shutil

import click

from corebox.actions.diff import diff
from corebox.cli import options, output
from corebox.cli.complete import SUBJECT
from corebox.cli.session import Session, session
from corebox.report.difference import difference_lines
from corebox.store.store import Store


@click.command("diff", short_help="Show what differs between two crashes.")
@click.argument("first", type=SUBJECT, metavar="FIRST")
@click.argument("second", type=SUBJECT, metavar="SECOND")
@session
@options.time_limit
@options.as_json
def command(*, session: Session, first: str, second: str, time_limit: float, as_json: bool) -> int:
    """Show what differs between two crashes: cause, system, modules and their versions, memory, and the stacks.

    FIRST and SECOND are bundles or images.
    """
    store = Store.default()
    subjects = ((first, session.find(store, first)), (second, session.find(store, second)))
    found = diff(store, subjects, time_limit, session.options, output.progress())
    if as_json:
        output.say_json(found.to_json())
        return 0
    for line in difference_lines(found, shutil.get_terminal_size((120, 24)).columns):
        output.say(line)
    return 0
