"""The work: each crash that was received and not reported gets its report, in a process of its own.

One crash, one process: what a hostile crash takes or breaks ends with it, and memory stays flat. It is forked from a
server that has imported everything, so it costs some milliseconds.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select, update

from corebox.actions.session import SessionOptions
from corebox.errors import CoreboxError, HostError, InputError
from corebox.fleet import tables
from corebox.fleet.arrival import bundle_path
from corebox.fleet.database import Fleet
from corebox.fleet.examine import Examiners, Question
from corebox.fleet.record import record, record_failure
from corebox.image.toolbox import ensure_toolbox
from corebox.store.files import try_lock
from corebox.store.store import Store

#: A crash that has been begun so often and never ended is set aside: it may be what kills the workers.
MAX_ATTEMPTS = 2
_BATCH = 1000
_POLL_SECONDS = 2.0
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


class _Waiting(NamedTuple):
    """A crash without a report, the digest of its bundle, and how often its report was begun."""

    crash: int
    bundle: bytes
    attempts: int


def work(fleet: Fleet, options: WorkOptions, done: Callable[[Outcome], None] = lambda _: None) -> None:
    """Report what waits, and what arrives while this is done.

    Raises:
        HostError: ``fleet-busy`` if another process works on this fleet; those of ``report`` that concern this machine,
            for it can report nothing then.
    """
    lock = try_lock(fleet.folder / "work.lock")
    if lock is None:
        hint = "give that one more processes (--jobs), or let it finish"
        raise HostError("fleet-busy", f"another process works on the fleet in {fleet.folder}", hint)
    try:
        ensure_toolbox(Store.default())
        with Examiners(options.jobs) as examiners:
            while (waiting := _waiting(fleet)) or not options.until_idle:
                for outcome in examiners.map(lambda each: _one(fleet, examiners, options, each), waiting):
                    done(outcome)
                if not waiting:
                    time.sleep(_POLL_SECONDS)
    finally:
        os.close(lock)


def _waiting(fleet: Fleet) -> list[_Waiting]:
    """The oldest crashes without a report."""
    crash = tables.crash
    with fleet.reading() as connection:
        rows = connection.execute(
            select(crash.c.id, crash.c.bundle, crash.c.attempts)
            .where(crash.c.reporter.is_(None), crash.c.failure.is_(None), crash.c.kept)
            .order_by(crash.c.id)
            .limit(_BATCH)
        )
        return [_Waiting(*row) for row in rows]


def _one(fleet: Fleet, examiners: Examiners, options: WorkOptions, waiting: _Waiting) -> Outcome:
    """Report a crash, or note why that is not possible."""
    if waiting.attempts >= MAX_ATTEMPTS:
        why = f"set aside: its report was begun {waiting.attempts} times, and whoever did it was gone each time"
        hint = f"look at it: corebox report fleet:{waiting.crash}; try again: corebox fleet again {waiting.crash}"
        return _failed(fleet, waiting.crash, HostError("worker-died", why, hint))
    _add_attempts(fleet, waiting.crash, 1)
    place = report_path(fleet, waiting.crash)
    question = Question(bundle_path(fleet, waiting.bundle), place, options.time_limit, options.session)
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


def _failed(fleet: Fleet, crash: int, error: CoreboxError) -> Outcome:
    record_failure(fleet, crash, error.code, error.message)
    return Outcome(crash, error)


def _add_attempts(fleet: Fleet, crash: int, number: int) -> None:
    with fleet.writing() as connection:
        attempts = tables.crash.c.attempts + number
        connection.execute(update(tables.crash).filter_by(id=crash).values(attempts=attempts))
