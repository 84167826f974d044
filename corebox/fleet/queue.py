"""Several machines share the work through PostgreSQL: Procrastinate deals it out.

The queue holds hints only. What has to be done is in the table of crashes; every worker puts a hint into the queue for
each crash that waits and has none. One that was lost costs seconds, one that is there twice costs a look.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Status

from corebox.errors import CoreboxError, HostError
from corebox.fleet import tables
from corebox.fleet.database import Fleet
from corebox.fleet.examine import Examiners
from corebox.fleet.reporting import Outcome, WorkOptions, report_one, waiting_crashes

_QUEUE, _TASK = "corebox", "corebox:report"
_POLL_SECONDS = 2.0
#: A worker that has not been heard of for so long is gone, and its jobs are done by another.
_SILENT_SECONDS, _HEARTBEAT_SECONDS = 20.0, 5.0


def work_from_queue(fleet: Fleet, options: WorkOptions, done: Callable[[Outcome], None]) -> None:
    """Do what the queue deals out to this machine, until nothing waits or for ever.

    Raises:
        HostError: ``database-unusable``; what concerns this machine, if the work was to end without any left.
    """
    url = fleet.engine.url.set(drivername="postgresql")
    app = App(connector=PsycopgConnector(conninfo=url.render_as_string(hide_password=False)))
    try:
        with Examiners(options.jobs) as examiners:
            asyncio.run(_Worker(fleet, options, examiners, app, done).run())
    except ConnectorException as error:
        hint = "check that it runs, then try again: nothing was lost"
        raise HostError("database-unusable", f"the database does not answer: {error}", hint) from error


class _Worker:
    """What this machine does."""

    def __init__(
        self, fleet: Fleet, options: WorkOptions, examiners: Examiners, app: App, done: Callable[[Outcome], None]
    ) -> None:
        self._fleet, self._options, self._examiners, self._app, self._done = fleet, options, examiners, app, done
        self._task = app.task(name=_TASK, queue=_QUEUE)(self._report)
        self._refusal: CoreboxError | None = None

    async def run(self) -> None:
        """Work until nothing waits, or until Ctrl-C."""
        main = asyncio.current_task()
        assert main
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, main)
        try:
            async with self._app.open_async():
                await self._prepare()
                while await self._round():
                    await asyncio.sleep(_POLL_SECONDS)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    def _stop(self, main: "asyncio.Task[None]") -> None:
        self._examiners.stop()
        main.cancel()

    async def _prepare(self) -> None:
        """Make the queue's tables if this is the first worker."""
        there = await self._app.connector.execute_query_one_async("SELECT to_regclass('procrastinate_jobs') AS jobs")
        if there["jobs"] is None:
            with contextlib.suppress(ConnectorException):  # another worker was faster
                await self._app.schema_manager.apply_schema_async()

    async def _round(self) -> bool:
        """Do what can be done now; whether to go on."""
        await self._take_over()
        waiting = await asyncio.to_thread(waiting_crashes, self._fleet)
        if not waiting and self._options.until_idle:
            return False
        for each in waiting:
            with contextlib.suppress(AlreadyEnqueued):
                lock = f"{_TASK}:{each.crash}"
                await self._task.configure(lock=lock, queueing_lock=lock).defer_async(crash=each.crash)
        await self._app.run_worker_async(
            queues=[_QUEUE],
            concurrency=max(self._options.jobs, 1),
            wait=False,
            install_signal_handlers=False,
            delete_jobs="always",
            update_heartbeat_interval=_HEARTBEAT_SECONDS,
            stalled_worker_timeout=_SILENT_SECONDS,
        )
        if self._refusal and self._options.until_idle:
            raise self._refusal
        return True

    async def _take_over(self) -> None:
        """Drop the jobs of workers that are gone: a crash that waits gets a new hint."""
        for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=_SILENT_SECONDS):
            await self._app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)

    def _report(self, crash: int) -> None:
        """Report a crash, unless somebody else has done it."""
        waiting = waiting_crashes(self._fleet, tables.crash.c.id == crash)
        try:
            for each in waiting:
                self._done(report_one(self._fleet, self._examiners, self._options, each))
        except CoreboxError as error:
            self._refusal = error
            self._done(Outcome(crash, error))
