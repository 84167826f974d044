"""A crash that an agent looks at: gdb in the sandbox on a core without secrets, and the report."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from corebox.actions.report import report
from corebox.actions.session import SessionOptions, prepare_session
from corebox.actions.subject import Image, Subject, image_of
from corebox.bundle.blocks import BLOCK_SIZE
from corebox.bundle.corecontent import CompactCore
from corebox.coredump.core import open_core
from corebox.debugger.console import CONSOLE_ARGUMENTS, Console
from corebox.errors import InputError
from corebox.image.opened import open_image
from corebox.reduce.redact import plan_redaction
from corebox.report.document import Report
from corebox.store.store import Store

_Blank = Callable[[str], str]


class Crash:
    """An open crash. Its methods may be called by several threads; gdb answers one at a time.

    Attributes:
        name: as the user gave it.
    """

    def __init__(
        self, name: str, store: Store, subject: Subject, options: SessionOptions, console: Console, blank: _Blank
    ) -> None:
        self.name = name
        self._store, self._subject, self._options = store, subject, options
        self._console, self._blank = console, blank
        self._lock = threading.Lock()
        self._report: Report | None = None

    def ask(self, command: str) -> list[str]:
        """What gdb prints for a command, line by line.

        Raises:
            InputError: ``gdb-refused``.
            HostError: ``time-limit``, ``session-ended``.
        """
        with self._lock:
            return self._blank(self._console.execute(command)).splitlines()

    def report(self, time_limit: float = 300.0) -> Report:
        """The report, made once.

        Raises:
            HostError: those of ``corebox.actions.report.report``.
        """
        with self._lock:
            if self._report is None:
                self._report = report(self._store, self._subject, self.name, time_limit, self._options).report
            return self._report

    def blanked(self, lines: Iterator[str]) -> Iterator[str]:
        """The lines without what was blanked in the core."""
        return map(self._blank, lines)


@contextmanager
def open_crash(
    store: Store, name: str, subject: Subject, options: SessionOptions, *, redact: bool = True
) -> Iterator[Crash]:
    """Start gdb on the crash, on a copy of its core without the values of the environment.

    Raises:
        InputError: ``bare-core``, ``no-core``, and those of ``prepare_session``.
        HostError: ``no-engine``, ``no-space``.
    """
    with store.workplace() as work:
        image = Image(name, image_of(store, subject))
        blank: _Blank = str
        if redact:
            redacted, blank = _redacted(store, image, work)
            options = options._replace(core=redacted)
        asking = options._replace(gdb_arguments=(*CONSOLE_ARGUMENTS, *options.gdb_arguments))
        with (
            prepare_session(store, image, asking) as prepared,
            prepared.engine.pipe(prepared.sandbox, prepared.command) as gdb,
        ):
            console = Console(gdb)
            console.execute("python pass")  # with it comes what gdb says while it opens the core
            yield Crash(name, store, image, options, console, blank)


def _redacted(store: Store, image: Image, work: Path) -> tuple[Path, _Blank]:
    """A copy of the core in ``work`` without the values of the environment, and what does the same to a text."""
    opened = open_image(store, image.image)
    if opened.core is None:
        raise InputError("no-core", f"{image.name} was made without its core", "ask the customer for the core")
    place = work / "redacted.core"
    with open_core(str(opened.core)) as core, place.open("xb") as out:
        plan = plan_redaction(core, environment=True)
        space = memoryview(bytearray(BLOCK_SIZE))
        for block in CompactCore(core, plan.apply).blocks(lambda: space):
            out.write(block)

    def blank(text: str) -> str:
        return plan.blank(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    return place, blank
