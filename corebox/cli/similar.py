"""``corebox similar``."""

import functools
import os
import sys

import click

from corebox.actions.similar import similar
from corebox.cli import options, output
from corebox.cli.session import Session, session
from corebox.store.store import Store


@click.command("similar", short_help="Group many crashes by what went wrong.")
@click.argument("subjects", nargs=-1, required=True, metavar="SUBJECT...")
@session
@click.option("--jobs", default=os.cpu_count() or 1, show_default="processors", metavar="N", help="So many at a time.")
@click.option("--time-limit", default=300.0, show_default=True, metavar="SECONDS", help="Stop gdb after so long.")
@options.as_json
def command(*, session: Session, subjects: tuple[str, ...], jobs: int, time_limit: float, as_json: bool) -> int:
    """Group many crashes by their signature: those in one group most likely have one cause."""
    store = Store.default()

    def tell(name: str) -> None:
        if sys.stderr.isatty():
            output.note(f"looked at {name}")

    find = functools.partial(session.find, store)
    groups, failed = similar(store, subjects, find, time_limit, session.options, max(jobs, 1), tell)
    for failure in failed:
        output.note(f"{failure.name}: could not be looked at")
        output.complain(failure.error)
    if as_json:
        documents = {"groups": [each.to_json() for each in groups], "failed": [each.to_json() for each in failed]}
        output.say_json({"version": 1, **documents})
        return 1 if failed else 0
    for group in groups:
        output.say(f"{len(group.names)} x {group.signature}")
        output.say(f"  {group.cause or 'the cause is not known'}")
        for name in group.names:
            output.say(f"    {name}")
    return 1 if failed else 0
