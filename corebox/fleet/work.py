"""The work: each crash that was received and not reported gets its report.

On one machine a process with a pool of others does it all. Where several machines share a PostgreSQL database,
``corebox.fleet.queue`` deals the crashes out to them.
"""

import os
import time
from collections.abc import Callable

from corebox.errors import HostError
from corebox.fleet.database import Fleet
from corebox.fleet.examine import Examiners
from corebox.fleet.reporting import Outcome, WorkOptions, report_one, waiting_crashes
from corebox.image.toolbox import ensure_toolbox
from corebox.store.files import try_lock
from corebox.store.store import Store

_POLL_SECONDS = 2.0


def work(fleet: Fleet, options: WorkOptions, done: Callable[[Outcome], None] = lambda _: None) -> None:
    """Report what waits, and what arrives while this is done.

    Raises:
        HostError: ``fleet-busy`` if another process works on this SQLite database; those of ``report`` that concern
            this machine, for it can report nothing then.
    """
    ensure_toolbox(Store.default())
    if fleet.engine.dialect.name == "postgresql":
        from corebox.fleet.queue import work_from_queue  # noqa: PLC0415  # of no use on one machine

        work_from_queue(fleet, options, done)
    else:
        _work_alone(fleet, options, done)


def _work_alone(fleet: Fleet, options: WorkOptions, done: Callable[[Outcome], None]) -> None:
    lock = try_lock(fleet.folder / "work.lock")
    if lock is None:
        hint = "give that one more processes (--jobs), or let it finish"
        raise HostError("fleet-busy", f"another process works on the fleet in {fleet.folder}", hint)
    try:
        with Examiners(options.jobs) as examiners:
            while (waiting := waiting_crashes(fleet)) or not options.until_idle:
                for outcome in examiners.map(lambda each: report_one(fleet, examiners, options, each), waiting):
                    done(outcome)
                if not waiting:
                    time.sleep(_POLL_SECONDS)
    finally:
        os.close(lock)
