"""A crash is looked at in a process of its own: what it takes or breaks ends with it.

The process is forked from a server that has imported everything already, which costs some milliseconds.
"""

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import NamedTuple, TypeVar

from corebox.actions.report import report, require_stack, write_report
from corebox.actions.session import SessionOptions
from corebox.actions.subject import BundleFile
from corebox.errors import CoreboxError, HostError, InputError, UsageError, as_corebox_error
from corebox.fleet.facts import Facts, facts_of
from corebox.report.page import html_page
from corebox.store.store import Store

#: gdb has a limit of its own; so many seconds more has everything around it.
_MORE_SECONDS = 300.0
#: So long may a process take to end that was asked to, or has answered.
_LAST_SECONDS = 30.0
_KINDS: tuple[type[CoreboxError], ...] = (InputError, UsageError, HostError, CoreboxError)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Question(NamedTuple):
    """What to look at: the crash as people name it, its bundle, and where the report goes, as HTML beside it.

    ``time_limit`` is the seconds that gdb has, ``options`` say how it is run.
    """

    name: str
    bundle: Path
    out: Path
    time_limit: float
    options: SessionOptions


class _Refusal(NamedTuple):
    """A ``CoreboxError`` on its way from one process to another."""

    kind: int
    code: str
    message: str
    hint: str


class Examiners:
    """So many processes at a time; at the end of the block none is left."""

    def __init__(self, jobs: int) -> None:
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._pool = ThreadPoolExecutor(max(jobs, 1))
        self._running: set[BaseProcess] = set()
        self._stopping = False

    def __enter__(self) -> "Examiners":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._pool.shutdown(cancel_futures=True)

    def stop(self) -> None:
        """End what is running; whoever waits for it gets ``interrupted``."""
        self._stopping = True
        for process in list(self._running):
            process.terminate()

    def map(self, function: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
        """What ``function`` makes of each item, several at a time."""
        return self._pool.map(function, items)

    def facts(self, question: Question) -> Facts:
        """Report the crash.

        Raises:
            HostError: ``worker-died`` if the process was killed, ``time-limit``, and those of ``report``.
            InputError: those of ``report``; ``no-answer``.
        """
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_answer, args=(question._replace(options=_portable(question.options)), theirs)
        )
        with ours:
            with theirs:
                process.start()
            self._running.add(process)
            try:
                return self._wait(process, ours, question.time_limit + _MORE_SECONDS)
            finally:
                self._running.discard(process)
                process.join(_LAST_SECONDS)  # it has answered, or the machine has no time for it
                process.kill()
                process.join()

    def _wait(self, process: BaseProcess, answers: Connection, seconds: float) -> Facts:
        try:
            if self._stopping:
                raise EOFError
            if not answers.poll(seconds):
                process.terminate()
                raise HostError("time-limit", f"no answer within {seconds:.0f} s", "give more: --time-limit SECONDS")
            answer: Facts | _Refusal = answers.recv()
        except EOFError:
            process.join()
            if self._stopping:
                raise HostError("interrupted", "the work was interrupted", "go on: corebox fleet work") from None
            ended = f"ended with status {process.exitcode}" if (process.exitcode or 0) >= 0 else "was killed"
            raise HostError(
                "worker-died", f"the process that looked at it {ended}", "corebox fleet work tries again"
            ) from None
        if isinstance(answer, _Refusal):
            raise _KINDS[answer.kind](answer.code, answer.message, answer.hint)
        return answer


def _portable(options: SessionOptions) -> SessionOptions:
    """The same for another process, whose words nobody would see."""
    return options._replace(tell=_unheard)


def _unheard(_: str) -> None:
    pass


def _answer(question: Question, to: Connection) -> None:
    """Look at the crash, in the other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us ends us
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        to.send(_examine(question))
    except KeyboardInterrupt:
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  # it is told where somebody hears it
        ours = as_corebox_error(error)
        kind = next(index for index, each in enumerate(_KINDS) if isinstance(ours, each))
        to.send(_Refusal(kind, ours.code, ours.message, ours.hint))


def _examine(question: Question) -> Facts:
    subject = BundleFile(question.bundle)
    made, regions = report(
        Store.default(), subject, question.name, question.time_limit, question.options, with_regions=True
    )
    require_stack(made)
    question.out.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_report(question.out.with_suffix(".html"), html_page(made, regions))
    write_report(question.out, json.dumps(made.to_json(), sort_keys=True))
    return facts_of(made)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
