"""Ask gdb about a crash in the sandbox, again from the next step on when it has not survived one."""

import re
import signal
import time
from typing import NamedTuple

from corebox.actions.session import Session
from corebox.debugger.budget import MAX_ANSWER, Budget
from corebox.debugger.records import LAST, Record, read_records
from corebox.debugger.session import ask
from corebox.engine.sandbox import Finished
from corebox.errors import HostError

#: gdb is not started more often for one report: whoever makes it die each time has died often enough.
MAX_STARTS = 6
#: A gdb that has died so often without a word dies of the core itself, not of a step.
_HOPELESS = 2
_LAST_LINES, _LAST_BYTES = 3, 1 << 16
_MAX_WORDS_LENGTH = 600
#: What gdb says when it crashes (gdb/event-top.c), finds a bug of its own (gdb/utils.c), or our watchdog ends it.
_FATAL = re.compile(r"(?m)^Fatal signal: .*$|internal-error: .*$|^std::bad_alloc.*$|^virtual memory exhausted.*$")
#: The function that found the bug, in gdb's backtrace of itself: its message went where our Python had it go.
_INTERNAL = re.compile(r"internal_error_loc\S*\n\S*\((\w{1,200})")
_NOISE = re.compile(
    r"-+( Backtrace -+)?$|Backtrace might be incomplete|Python Exception <class |/\S+(\(.*\))?\[0x[0-9a-f]+\]$"
)
_HUNG = re.compile(r"(?m)^Timeout \(([0-9:.]+)\)!$")


class GdbOutcome(NamedTuple):
    """What gdb wrote in all its runs.

    Attributes:
        records: what it found.
        deaths: the steps that it did not survive, each with how it ended.
        said: its last words, which tell why it found nothing where it found nothing.
    """

    records: tuple[Record, ...]
    deaths: tuple[tuple[int, str], ...]
    said: str


def ask_gdb(session: Session, time_limit: float) -> GdbOutcome:
    """Ask, as often as it takes; ``time_limit`` is for all together, in seconds.

    Raises:
        HostError: ``time-limit`` if the time was up before gdb wrote anything.
    """
    records: list[Record] = []
    deaths: list[tuple[int, str]] = []
    latest, first, said = time.monotonic() + time_limit, 0, ""
    budget = Budget()
    for _ in range(MAX_STARTS):
        try:
            left = latest - time.monotonic()
            command = (*session.command, *ask(first))
            done = session.engine.run(session.sandbox, command, max(left, 1.0), MAX_ANSWER)
        except HostError as error:
            if error.code != "time-limit" or not records:
                raise
            deaths.append((first, f"the time limit of {time_limit:g} s was reached"))
            break
        done = done._replace(errors=done.errors[-_LAST_BYTES:])
        said = said or last_words(done)
        found = [each for each in read_records(done.output, budget) if each.number >= first]
        records += found
        if any(each.part == LAST for each in found):
            break
        killer = max((each.number for each in found), default=first - 1) + 1
        deaths.append((killer, how_it_ended(done)))
        first = killer + 1
        if not records and len(deaths) == _HOPELESS:
            break
    return GdbOutcome(tuple(records), tuple(deaths), said)


def how_it_ended(done: Finished) -> str:
    """Why a gdb ended that was not to end, in its own last words."""
    said = done.errors.decode("utf-8", "replace")
    hung = _HUNG.search(said)
    if hung:
        return f"gdb did not answer within {hung[1]} and was stopped"
    fatal = _FATAL.search(said)
    if fatal:
        return f"gdb crashed: {fatal[0].strip()[:_MAX_WORDS_LENGTH]}"
    internal = _INTERNAL.search(said)
    if internal:
        return f"gdb stopped with an internal error (in {internal[1]})"
    how = _signal(done.status - 128) if done.status > 128 else f"exit status {done.status}"
    last = last_words(done)
    return f"gdb ended ({how})" + (f": {last}" if last else "")


def _signal(number: int) -> str:
    """Its name; a hostile gdb ends as it likes."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_words(done: Finished) -> str:
    """The last lines that it wrote as errors, without gdb's backtrace of itself."""
    lines = (line.strip() for line in done.errors.decode("utf-8", "replace").splitlines())
    kept = [line for line in lines if line and not _NOISE.match(line)]
    return " / ".join(kept[-_LAST_LINES:])[-_MAX_WORDS_LENGTH:]
