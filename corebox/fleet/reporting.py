"""One crash is reported, or it is noted why that is not possible."""

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import ColumnElement, select, update

from corebox.actions.session import SessionOptions
from corebox.errors import CoreboxError, HostError, InputError
from corebox.fleet import tables
from corebox.fleet.arrival import bundle_path
from corebox.fleet.database import Fleet
from corebox.fleet.examine import Examiners, Question
from corebox.fleet.record import record, record_failure

#: A crash that has been begun so often and never ended is set aside: it may be what kills the workers.
MAX_ATTEMPTS = 2
_BATCH = 1000
#: Errors of the machine that are the crash's own all the same.
_OF_THIS_CRASH = ("time-limit",)


class WorkOptions(NamedTuple):
    """How to work: so many crashes at a time, seconds for each, how gdb is run, and whether to stop without work."""

    jobs: int = 1
    time_limit: float = 300.0
    session: SessionOptions = SessionOptions()
    until_idle: bool = False


class Outcome(NamedTuple):
    """What became of a crash; ``error`` is None if it was reported."""

    crash: int
    error: CoreboxError | None = None


class Waiting(NamedTuple):
    """A crash without a report, the digest of its bundle, and how often its report was begun."""

    crash: int
    bundle: bytes
    attempts: int


def waiting_crashes(fleet: Fleet, *conditions: ColumnElement[bool]) -> list[Waiting]:
    """The oldest crashes without a report, some hundred at most."""
    crash = tables.crash
    with fleet.reading() as connection:
        rows = connection.execute(
            select(crash.c.id, crash.c.bundle, crash.c.attempts)
            .where(crash.c.reporter.is_(None), crash.c.failure.is_(None), crash.c.kept, *conditions)
            .order_by(crash.c.id)
            .limit(_BATCH)
        )
        return [Waiting(*row) for row in rows]


def report_one(fleet: Fleet, examiners: Examiners, options: WorkOptions, waiting: Waiting) -> Outcome:
    """Report a crash, or note why that is not possible.

    Raises:
        HostError: what concerns this machine, not the crash, which goes on waiting.
    """
    if waiting.attempts >= MAX_ATTEMPTS:
        why = f"set aside: its report was begun {waiting.attempts} times, and whoever did it was gone each time"
        hint = f"look at it: corebox report fleet:{waiting.crash}; try again: corebox fleet again {waiting.crash}"
        return _failed(fleet, waiting.crash, HostError("worker-died", why, hint))
    _add_attempts(fleet, waiting.crash, 1)
    place = report_path(fleet, waiting.crash)
    name = f"fleet:{waiting.crash}"
    question = Question(name, bundle_path(fleet, waiting.bundle), place, options.time_limit, options.session)
    try:
        facts = examiners.facts(question)
    except CoreboxError as error:
        if error.code == "worker-died":  # it waits for its next attempt, which has been counted
            return Outcome(waiting.crash, error)
        if isinstance(error, InputError) or error.code in _OF_THIS_CRASH:
            return _failed(fleet, waiting.crash, error)
        _add_attempts(fleet, waiting.crash, -1)  # the machine's fault, or ours
        raise
    record(fleet, waiting.crash, facts)
    return Outcome(waiting.crash)


def report_path(fleet: Fleet, crash: int) -> Path:
    """Where the report is, as ``corebox report --json`` prints it."""
    return fleet.folder / "reports" / str(crash // 1000) / f"{crash}.json"


def page_path(fleet: Fleet, crash: int) -> Path:
    """Where the report is as a page of HTML."""
    return report_path(fleet, crash).with_suffix(".html")


def _failed(fleet: Fleet, crash: int, error: CoreboxError) -> Outcome:
    record_failure(fleet, crash, error.code, error.message)
    return Outcome(crash, error)


def _add_attempts(fleet: Fleet, crash: int, number: int) -> None:
    with fleet.writing() as connection:
        attempts = tables.crash.c.attempts + number
        connection.execute(update(tables.crash).filter_by(id=crash).values(attempts=attempts))
