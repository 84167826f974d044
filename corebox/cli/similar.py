"""``corebox similar``."""

import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from corebox.actions.junit import junit_document, write_junit
from corebox.actions.similar import LEVELS, Failure, Group, similar
from corebox.cli import options, output
from corebox.cli.complete import SUBJECT
from corebox.cli.session import Session, session
from corebox.store.store import Store


@click.command("similar", short_help="Group crashes by what went wrong.")
@click.argument("subjects", type=SUBJECT, nargs=-1, required=True, metavar="SUBJECT...")
@session
@click.option(
    "--jobs", default=os.cpu_count() or 1, show_default="processors", metavar="N", help="How many crashes in parallel."
)
@options.time_limit
@click.option(
    "--by",
    type=click.Choice(LEVELS),
    default=LEVELS[0],
    show_default=True,
    help="What crashes of one group have in common: the family (what happened, and the program's own function where it "
    "happened) or the whole signature (also its callers).",
)
@click.option(
    "--junit",
    type=options.FILE,
    metavar="FILE",
    help="Also write the groups as JUnit XML: CI shows them as tests.",
)
@options.as_json
def command(
    *,
    session: Session,
    subjects: tuple[str, ...],
    jobs: int,
    time_limit: float,
    by: str,
    junit: Path | None,
    as_json: bool,
) -> int:
    """Group crashes: those in one group most likely have the same cause."""
    store = Store.default()

    def tell(name: str) -> None:
        if sys.stderr.isatty():
            output.note(f"read {name}")

    find = functools.partial(session.find, store)
    groups, failed = similar(store, subjects, find, time_limit, session.options, max(jobs, 1), by, tell)
    if junit:
        write_junit(junit, junit_document(groups, failed, by))
    for failure in failed:
        output.note(f"{failure.name}: could not be read")
        output.complain(failure.error)
    if as_json:
        documents = {"groups": [each.to_json() for each in groups], "failed": [each.to_json() for each in failed]}
        output.say_json({"version": 1, "by": by, **documents})
        return _status(groups, failed)
    for line in (line for group in groups for line in _lines(group, by)):
        output.say(line)
    return _status(groups, failed)


def _status(groups: list[Group], failed: list[Failure]) -> int:
    """An empty answer is an error: bad input if none of the crashes could be read."""
    if failed and not groups:
        return 3
    return 1 if failed else 0


def _lines(group: Group, by: str) -> Iterator[str]:
    """A group: what it has in common, its causes with their counts, and the crashes of each signature."""
    yield f"{len(group.names)} x {group.family if by == 'family' else group.signatures[0][0]}"
    for cause, count in group.causes:
        times = f"{count} x " if len(group.causes) > 1 else ""
        yield f"  {times}{cause or 'unknown cause'}"
    for signature, names in group.signatures:
        if by == "family":
            yield f"    {len(names)} x {signature}"
        yield from (f"      {name}" for name in names)
