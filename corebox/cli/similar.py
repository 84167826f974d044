"""``corebox similar``."""

import os
import sys

import click

from corebox.actions.shell import ShellOptions
from corebox.actions.similar import similar
from corebox.actions.subject import resolve
from corebox.cli import options, output
from corebox.store import Store


@click.command("similar")
@click.argument("subjects", nargs=-1, required=True, metavar="SUBJECT...")
@options.engine
@options.no_customer_code
@click.option("--jobs", default=os.cpu_count() or 1, show_default="processors", metavar="N", help="So many at a time.")
@click.option("--time-limit", default=300.0, show_default=True, metavar="SECONDS", help="Stop gdb after so long.")
@options.as_json
def command(
    subjects: tuple[str, ...], engine: str, no_customer_code: bool, jobs: int, time_limit: float, as_json: bool
) -> int:
    """Group many crashes by their signature: those in one group most likely have one cause."""
    store = Store.default()
    chosen = ShellOptions(engine=engine, customer_code=not no_customer_code)
    crashes = [(name, resolve(store, name)) for name in subjects]

    def tell(name: str) -> None:
        if sys.stderr.isatty():
            output.note(f"looked at {name}")

    groups = similar(store, crashes, time_limit, chosen, max(jobs, 1), tell)
    if as_json:
        output.say_json({"version": 1, "groups": [group.to_json() for group in groups]})
        return 0
    for group in groups:
        output.say(f"{len(group.names)} x {group.signature}")
        output.say(f"  {group.cause or 'the cause is not known'}")
        for name in group.names:
            output.say(f"    {name}")
    return 0
