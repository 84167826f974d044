"""What changes, and what sets a family apart: ``corebox fleet count``, ``changes`` and ``apart``."""

from datetime import datetime, timezone
from typing import Any

import click

from corebox.cli import options, output
from corebox.cli.fleet.filters import filters
from corebox.fleet import trends
from corebox.fleet.database import open_fleet
from corebox.fleet.questions import Filter

_csv = click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
_HEADS = {"day": ("DAY",), "release": ("PRODUCT", "RELEASE"), "customer": ("CUSTOMER",)}


@click.command("count")
@filters
@click.option("--by", type=click.Choice(trends.BY), default="day", show_default=True, help="What to count by.")
@_csv
@options.as_json
def count(which: Filter, by: str, as_csv: bool, as_json: bool) -> int:
    """Count crashes by day, release or customer."""
    rows = [(*_names(by, each.key), each.crashes, each.seen) for each in trends.counts(open_fleet(), by, which)]
    heads = (*_HEADS[by], "CRASHES", "SEEN")
    names = tuple(map(str.lower, heads))
    if as_json:
        output.say_json({"version": 1, "by": by, "counts": [dict(zip(names, row, strict=True)) for row in rows]})
    elif as_csv:
        output.say_csv(names, rows)
    else:
        output.table([heads, *(tuple(str(value or "-") for value in row) for row in rows)])
    return 0


@click.command("changes")
@click.argument("product")
@click.argument("release")
@_csv
@options.as_json
def changes(product: str, release: str, as_csv: bool, as_json: bool) -> int:
    """List the families of PRODUCT that are new since RELEASE, gone since, or back again.

    Releases are in the order of `sort -V`. A family has regressed if an earlier release had it, but not the last one
    before RELEASE. Gone means that no crash of it has arrived since: with few crashes since, that says little.
    """
    found = trends.changes(open_fleet(), product, release)
    if as_json:
        output.say_json({"version": 1, "changes": [each._asdict() for each in found]})
    elif as_csv:
        output.say_csv(trends.Change._fields, found)
    else:
        head = ("CHANGE", "FAMILY", "BEFORE", "SINCE", "TICKET", "WHAT")
        rows = [
            (each.kind, str(each.id), str(each.before), str(each.since), each.ticket or "-", each.name or each.text)
            for each in found
        ]
        output.table([head, *rows])
    return 0


@click.command("apart")
@click.argument("family", type=int)
@_csv
@options.as_json
def apart(family: int, as_csv: bool, as_json: bool) -> int:
    """Show what crashes of a family have more often than others of the same product: modules, systems, releases.

    AT LEAST is by how much the two shares differ, with 95 % confidence for the whole list (Newcombe's interval,
    widened for the number of comparisons). What may be chance is not listed.
    """
    found = trends.apart(open_fleet(), family)
    if as_json:
        output.say_json({"version": 1, "family": family, "traits": [each._asdict() for each in found]})
    elif as_csv:
        output.say_csv(trends.Trait._fields, found)
    elif not found:
        output.note("nothing that could not be chance")
    else:
        rows = [
            (
                each.kind,
                _share(each.crashes, each.of),
                _share(each.others, each.others_of),
                f"{each.excess:+.0%}",
                each.value,
            )
            for each in found
        ]
        output.table([("KIND", "FAMILY", "OTHERS", "AT LEAST", "WHAT"), *rows])
    return 0


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole}"


def _names(by: str, key: tuple[Any, ...]) -> tuple[str | None, ...]:
    """The day as people write it."""
    if by != "day":
        return key
    return tuple(None if day is None else f"{datetime.fromtimestamp(day, timezone.utc):%Y-%m-%d}" for day in key)
