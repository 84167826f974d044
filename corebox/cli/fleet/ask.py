"""What a fleet is asked: ``corebox fleet status``, ``top``, ``find`` and ``show``."""

from datetime import datetime, timezone

import click

from corebox.cli import options, output
from corebox.cli.fleet.filters import filters
from corebox.fleet import questions
from corebox.fleet.database import open_fleet
from corebox.fleet.questions import Filter
from corebox.printable import counted

_limit = click.option("--limit", default=20, show_default=True, metavar="N", help="How many to list at most.")
_csv = click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")


@click.command("status")
@options.as_json
def status(as_json: bool) -> int:
    """Show how many crashes there are, how many are waiting, and why some failed."""
    found = questions.status(open_fleet())
    if as_json:
        output.say_json(found.to_json())
        return 0
    states = ", ".join(f"{number} {state}" for state, number in found.crashes.items())
    output.say(
        f"{counted(sum(found.crashes.values()), 'crash', 'crashes')}: {states}; seen {counted(found.seen, 'time')}"
    )
    output.say(f"{counted(found.families, 'family', 'families')}; bundles: {output.size(found.size)}")
    for code, number in found.failures.items():
        output.say(f"failed: {number} x {code}; see them: corebox fleet find --state failed")
    return 0


@click.command("top")
@filters
@_limit
@_csv
@options.as_json
def top(which: Filter, limit: int, as_csv: bool, as_json: bool) -> int:
    """Show the families with the most crashes."""
    found = questions.top(open_fleet(), which, limit)
    if as_json:
        output.say_json({"version": 1, "families": [each.to_json() for each in found]})
    elif as_csv:
        output.say_csv(questions.FamilyCount._fields, found)
    elif not found:
        output.note("no crashes; add some: corebox fleet add *.corebox && corebox fleet work --until-idle")
    else:
        head = ("FAMILY", "CRASHES", "CUSTOMERS", "RELEASES", "FIRST", "LAST", "TICKET", "WHAT")
        rows = [
            (
                *map(str, (each.id, each.crashes, each.customers, each.releases)),
                *(_day(each.first), _day(each.last), each.ticket or "-", each.name or each.text),
            )
            for each in found
        ]
        output.table([head, *rows])
    return 0


@click.command("find")
@filters
@_limit
@_csv
@options.as_json
def find(which: Filter, limit: int, as_csv: bool, as_json: bool) -> int:
    """List the crashes that have something in common, the newest first."""
    found = questions.find(open_fleet(), which, limit)
    if as_json:
        output.say_json({"version": 1, "crashes": [each.to_json() for each in found]})
    elif as_csv:
        output.say_csv(questions.CrashRow._fields, found)
    elif not found:
        output.note("no such crashes")
    else:
        head = ("CRASH", "TIME", "CUSTOMER", "PRODUCT", "RELEASE", "WHAT")
        rows = [
            (
                *(f"fleet:{each.id}", _day(each.crashed), each.customer or "-", each.product or "-"),
                *(each.release or "-", each.family or each.state),
            )
            for each in found
        ]
        output.table([head, *rows])
    return 0


@click.command("show")
@click.argument("crash", type=int)
@options.as_json
def show(crash: int, as_json: bool) -> int:
    """Show what the database knows about a crash; `corebox report fleet:N` shows the full report."""
    found = questions.show(open_fleet(), crash)
    if as_json:
        output.say_json(found.to_json())
        return 0
    row = found.row
    output.say(f"crash {row.id}, {row.state}: {row.product} {row.release} of {row.customer or 'no customer'}".rstrip())
    facts = {
        "crashed": _day(row.crashed),
        "cause": row.cause,
        "family": row.family,
        "signature": found.signature,
        "failure": found.failure,
        "system": found.system,
        "source": found.source,
        "seen": counted(found.seen, "time"),
        "bundle": output.size(found.size) if found.kept else "gone",
    }
    output.table((name, str(value)) for name, value in facts.items() if value)
    for number, frame in enumerate(found.frames):
        output.say(f"#{number} {frame}")
    output.say(f"open it: corebox shell fleet:{row.id}" if found.kept else "its bundle was removed")
    return 0


def _day(seconds: int | None) -> str:
    return "-" if seconds is None else f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M}"
