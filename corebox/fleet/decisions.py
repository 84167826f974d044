"""What people decide: a family's name, its ticket, that two families are one bug, what is looked at again."""

import getpass
import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from corebox.errors import InputError
from corebox.fleet import tables
from corebox.fleet.database import Fleet
from corebox.fleet.questions import Filter, chosen, no_such_crash


class Entry(NamedTuple):
    """What was decided or opened: when, in seconds since 1970, by whom, and what."""

    at: int
    who: str
    what: str


def name_family(fleet: Fleet, family: int, name: str | None, who: str | None = None) -> None:
    """Call the family so; None takes the name away. ``who`` decides; if None, the user of this process.

    Raises:
        InputError: ``no-such-family``.
    """
    _decide(fleet, family, f"named {name}" if name else "name removed", who, name=name)


def note_ticket(fleet: Fleet, family: int, ticket: str | None, who: str | None = None) -> None:
    """Note where people work on the family's bug.

    Raises:
        InputError: ``no-such-family``.
    """
    _decide(fleet, family, f"ticket {ticket}" if ticket else "ticket removed", who, ticket=ticket)


def merge_families(fleet: Fleet, family: int, into: int, who: str | None = None) -> None:
    """Count the crashes of ``family`` as those of ``into``.

    Raises:
        InputError: ``no-such-family``, also if one of them is part of another already.
    """
    with fleet.writing() as connection:
        whole = _whole(connection, into)
        _whole(connection, family)
        if whole == family:
            raise InputError("no-such-family", f"family {family} cannot be a part of itself", "give two families")
        table = tables.family
        part = (table.c.id == family) | (table.c.merged == family)
        connection.execute(update(table).where(part).values(merged=whole))
        note(connection, f"family {family}: merged into family {whole}", who)
        note(connection, f"family {whole}: family {family} merged into it", who)


def split_family(fleet: Fleet, family: int, who: str | None = None) -> None:
    """Let a family that was merged be one of its own again.

    Raises:
        InputError: ``no-such-family``.
    """
    _decide(fleet, family, "split", who, merged=None)


def parts_of(fleet: Fleet, family: int) -> list[tuple[int, str]]:
    """The families that were merged into this one: number and text.

    Raises:
        HostError: ``database-unusable``.
    """
    table = tables.family.c
    with fleet.reading() as connection:
        rows = connection.execute(select(table.id, table.text).where(table.merged == family).order_by(table.id))
        return [(number, text) for number, text in rows]


def audit_trail(fleet: Fleet, about: str | None = None, limit: int = 100) -> list[Entry]:
    """What was decided and opened, the newest first; ``about`` is e.g. ``family 3``.

    Raises:
        HostError: ``database-unusable``.
    """
    table = tables.audit.c
    query = select(table.at, table.who, table.what).order_by(table.id.desc()).limit(limit)
    if about is not None:
        query = query.where(table.what.startswith(f"{about}: ", autoescape=True))
    with fleet.reading() as connection:
        return [Entry(*row) for row in connection.execute(query)]


def look_again(fleet: Fleet, which: Filter, crashes: Sequence[int] = ()) -> int:
    """Have the crashes reported anew; the number of those whose bundles are still there.

    Raises:
        HostError: ``database-unusable``.
    """
    crash = tables.crash
    values = {"reporter": None, "code": None, "failure": None, "attempts": 0}
    with fleet.writing() as connection:
        meant = crash.c.id.in_(crashes or chosen(connection, which))
        return connection.execute(update(crash).where(meant, crash.c.kept).values(**values)).rowcount


def hold(fleet: Fleet, number: int, held: bool) -> None:
    """Keep the crash's bundle whatever the rules of ``forget`` say, or no longer.

    Raises:
        InputError: ``not-in-fleet``.
    """
    with fleet.writing() as connection:
        if not connection.execute(update(tables.crash).filter_by(id=number).values(held=held)).rowcount:
            raise no_such_crash(number)


def note_opened(fleet: Fleet, crash: int, what: str, who: str | None = None) -> None:
    """Note that somebody saw what a process had in its memory.

    Raises:
        HostError: ``database-unusable``.
    """
    with fleet.writing() as connection:
        note(connection, f"crash {crash}: {what}", who)


def note_reader(fleet: Fleet, what: str, who: str) -> None:
    """Note who may look, and who no longer.

    Raises:
        HostError: ``database-unusable``.
    """
    with fleet.writing() as connection:
        note(connection, f"readers: {what}", who)


def _decide(fleet: Fleet, family: int, what: str, who: str | None, **values: str | int | None) -> None:
    with fleet.writing() as connection:
        if not connection.execute(update(tables.family).filter_by(id=family).values(**values)).rowcount:
            raise _no_such_family(family)
        note(connection, f"family {family}: {what}", who)


def _whole(connection: Connection, family: int) -> int:
    """The family that counts."""
    found = connection.execute(select(tables.family.c.merged).filter_by(id=family)).one_or_none()
    if found is None:
        raise _no_such_family(family)
    return family if found.merged is None else int(found.merged)


def _no_such_family(family: int) -> InputError:
    return InputError("no-such-family", f"the fleet has no family {family}", "list them: corebox fleet top")


def note(connection: Connection, what: str, who: str | None = None) -> None:
    """Put into the audit trail who did what; the user of this process if nobody else."""
    connection.execute(tables.audit.insert().values(at=int(time.time()), who=who or getpass.getuser(), what=what))
