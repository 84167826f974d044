"""What people decide about a fleet: ``corebox fleet again``, ``family``, ``hold`` and ``forget``."""

import click

from corebox.cli import output, units
from corebox.cli.fleet.filters import filters
from corebox.errors import UsageError
from corebox.fleet import decisions, retention
from corebox.fleet.database import open_fleet
from corebox.fleet.questions import EVERY, Filter
from corebox.printable import counted

_dry = click.option("--dry-run", is_flag=True, help="Only show what would be removed.")


@click.command("again", short_help="Report crashes again.")
@click.argument("crashes", nargs=-1, type=int, metavar="[CRASH]...")
@filters
@click.option("--all", "every", is_flag=True, help="All crashes: without it, at least one filter is needed.")
def again(crashes: tuple[int, ...], which: Filter, every: bool) -> int:
    """Let the next `work` report crashes again, with new symbols or a new corebox."""
    if not crashes and which == EVERY and not every:
        raise UsageError("wrong-usage", "which crashes?", "give numbers, or e.g. --state failed, or --all")
    number = decisions.look_again(open_fleet(), which, crashes)
    output.say(f"{counted(number, 'crash', 'crashes')} to report; corebox fleet work")
    return 0


@click.group("family")
def family() -> None:
    """Name a family, note its ticket, merge or split families."""


@family.command("name")
@click.argument("family", type=int)
@click.argument("name", required=False)
def name(family: int, name: str | None) -> int:
    """Give FAMILY a name; without NAME, remove the one it has."""
    decisions.name_family(open_fleet(), family, name)
    return 0


@family.command("ticket")
@click.argument("family", type=int)
@click.argument("ticket", required=False)
def ticket(family: int, ticket: str | None) -> int:
    """Note the ticket for FAMILY; without TICKET, remove the one it has."""
    decisions.note_ticket(open_fleet(), family, ticket)
    return 0


@family.command("merge")
@click.argument("family", type=int)
@click.argument("into", type=int)
def merge(family: int, into: int) -> int:
    """Count the crashes of FAMILY as those of INTO."""
    decisions.merge_families(open_fleet(), family, into)
    return 0


@family.command("split")
@click.argument("family", type=int)
def split(family: int) -> int:
    """Make a merged FAMILY a family of its own again."""
    decisions.split_family(open_fleet(), family)
    return 0


@click.command("hold")
@click.argument("crash", type=int)
@click.option("--off", is_flag=True, help="Stop keeping it.")
def hold(crash: int, off: bool) -> int:
    """Keep the bundle of CRASH even if `forget --older-than` would remove it."""
    decisions.hold(open_fleet(), crash, not off)
    return 0


@click.command("forget", short_help="Remove a customer, or old bundles.")
@click.option("--customer", help="Remove everything of this customer.")
@click.option("--older-than", type=float, metavar="DAYS", help="Remove bundles that arrived more than DAYS days ago.")
@click.option("--limit", metavar="SIZE", help="Remove the oldest bundles until the rest fits SIZE: 500G, 2T.")
@_dry
def forget(customer: str | None, older_than: float | None, limit: str | None, dry_run: bool) -> int:
    """Remove everything of a customer; or remove old bundles, and keep what is known about their crashes.

    Of each signature in each release the first and the last three keep their bundles, and so do those that are held.
    """
    if (customer is None) == (older_than is None and limit is None):
        raise UsageError(
            "wrong-usage", "what is to be removed?", "give --customer NAME, or --older-than DAYS or --limit SIZE"
        )
    size = None if limit is None else units.size("--limit", limit)
    fleet = open_fleet()
    if customer is not None:
        gone = retention.forget_customer(fleet, customer, dry=dry_run)
    else:
        seconds = None if older_than is None else older_than * 86400
        gone = retention.drop_bundles(fleet, seconds, size, dry=dry_run)
    number = len(gone.crashes)
    what = counted(number, "bundle") if customer is None else counted(number, "crash", "crashes")
    output.say(f"{'would remove' if dry_run else 'removed'} {what}, {output.size(gone.size)}")
    return 0
