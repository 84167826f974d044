"""What people decide: a family's name, its ticket, that two families are one bug, what is looked at again."""

import getpass
import time
from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from corebox.errors import InputError
from corebox.fleet import tables
from corebox.fleet.database import Fleet
from corebox.fleet.questions import Filter, chosen, no_such_crash


def name_family(fleet: Fleet, family: int, name: str | None) -> None:
    """Call the family so; None takes the name away.

    Raises:
        InputError: ``no-such-family``.
    """
    _decide(fleet, family, f"named {name}", name=name)


def note_ticket(fleet: Fleet, family: int, ticket: str | None) -> None:
    """Note where people work on the family's bug.

    Raises:
        InputError: ``no-such-family``.
    """
    _decide(fleet, family, f"ticket {ticket}", ticket=ticket)


def merge_families(fleet: Fleet, family: int, into: int) -> None:
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
        note(connection, f"family {family}: merged into {whole}")


def split_family(fleet: Fleet, family: int) -> None:
    """Let a family that was merged be one of its own again.

    Raises:
        InputError: ``no-such-family``.
    """
    _decide(fleet, family, "split", merged=None)


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


def _decide(fleet: Fleet, family: int, what: str, **values: str | int | None) -> None:
    with fleet.writing() as connection:
        if not connection.execute(update(tables.family).filter_by(id=family).values(**values)).rowcount:
            raise _no_such_family(family)
        note(connection, f"family {family}: {what}")


def _whole(connection: Connection, family: int) -> int:
    """The family that counts."""
    found = connection.execute(select(tables.family.c.merged).filter_by(id=family)).one_or_none()
    if found is None:
        raise _no_such_family(family)
    return family if found.merged is None else int(found.merged)


def _no_such_family(family: int) -> InputError:
    return InputError("no-such-family", f"the fleet has no family {family}", "list them: corebox fleet top")


def note(connection: Connection, what: str) -> None:
    """Put into the book of decisions who did what."""
    connection.execute(tables.audit.insert().values(at=int(time.time()), who=getpass.getuser(), what=what))
