"""Crashes arrive and are reported: ``corebox fleet init``, ``add`` and ``work``."""

import os
from pathlib import Path

import click

from corebox.cli import options, output
from corebox.cli.meter import meter
from corebox.cli.session import Session, session
from corebox.errors import InputError
from corebox.fleet.arrival import Labels, Received, receive
from corebox.fleet.database import Fleet, choose, open_fleet
from corebox.fleet.reporting import Outcome, WorkOptions
from corebox.fleet.work import work as do_work
from corebox.printable import counted


@click.command("init", short_help="Choose the database and create its tables.")
@click.argument("url", required=False)
@click.option(
    "--folder", type=options.PATH, metavar="DIR", help="The folder for bundles and reports, the same on every machine."
)
def init(url: str | None, folder: Path | None) -> int:
    """Choose the database at URL and create its tables: sqlite:////PATH or postgresql://USER@HOST/NAME.

    Without URL: an SQLite file in the store, which the other commands also create when they need it.
    """
    fleet = choose(url, folder) if url else open_fleet()
    output.say(f"{fleet.engine.url.render_as_string(hide_password=True)}; bundles and reports: {fleet.folder}")
    return 0


@click.command("add", short_help="Add bundles to the fleet.")
@click.argument("bundles", nargs=-1, required=True, type=options.PATH, metavar="BUNDLE...")
@click.option("--customer", default="", help="The customer that they come from.")
@click.option("--product", default="", help="The product that crashed; default: the program's name.")
@click.option("--release", default="", help="The version of the product.")
@click.option("--source", help="Where they come from, e.g. the number of a support case.")
@options.as_json
def add(bundles: tuple[Path, ...], customer: str, product: str, release: str, source: str | None, as_json: bool) -> int:
    """Add copies of the bundles to the fleet; a crash that it already has is counted, not stored again."""
    fleet, labels = open_fleet(), Labels(customer, product, release, source)
    found = [(path, _receive(fleet, path, labels)) for path in bundles]
    received = [(path, each) for path, each in found if isinstance(each, Received)]
    failed = [(path, each) for path, each in found if isinstance(each, InputError)]
    if as_json:
        taken = [{"bundle": str(path), **each._asdict()} for path, each in received]
        errors = [{"bundle": str(path), "code": each.code, "message": each.message} for path, each in failed]
        output.say_json({"version": 1, "crashes": taken, "failed": errors})
    else:
        new = sum(each.seen == 1 for _, each in received)
        crashes = counted(new, "new crash", "new crashes")
        output.say(f"{crashes}, {len(received) - new} counted again; report them: corebox fleet work")
    return 3 if failed and not received else bool(failed)


def _receive(fleet: Fleet, path: Path, labels: Labels) -> Received | InputError:
    try:
        return receive(fleet, path, labels, meter("adding"))
    except InputError as error:
        output.complain(error)
        return error


@click.command("work", short_help="Report the waiting crashes.")
@session
@click.option(
    "--jobs", default=os.cpu_count() or 1, show_default="processors", metavar="N", help="How many crashes in parallel."
)
@options.time_limit
@click.option("--until-idle", is_flag=True, help="Stop when no crash is waiting, instead of waiting for more.")
def work(session: Session, jobs: int, time_limit: float, until_idle: bool) -> int:
    """Report the waiting crashes, each in a process and a sandbox of its own, until Ctrl-C."""
    failed = []

    def done(outcome: Outcome) -> None:
        if outcome.error:
            failed.append(outcome)
            output.note(f"crash {outcome.crash}: {outcome.error.message}")

    do_work(open_fleet(), WorkOptions(jobs, time_limit, session.options, until_idle), done)
    return 1 if failed else 0
