"""What the selected thread died of."""

from typing import Any

import gdb

from corebox.gdbside import selection
from corebox.gdbside.why import go, hangs
from corebox.gdbside.why.asked import fault
from corebox.gdbside.why.facts import Cause, Fault
from corebox.gdbside.why.kinds import cause_of

_MAX_THREADS = 256
#: A process that somebody ended or copied: it may have hung.
_HUNG = ("snapshot", "sent-signal")


def explain() -> dict[str, Any]:
    """The cause as a dictionary, of the selected thread, which must have crashed.

    ``thread`` and ``frame`` say where the fault was: gdb's number of the thread, and how many frames of a handler come
    before; ``signal`` is the number of the signal that was interrupted by it.
    """
    try:
        return _explain()
    except Exception as error:  # noqa: BLE001 - a core may hold anything, and all else must be told nevertheless
        return _answer(Cause("unknown", f"The cause cannot be determined: {error}", []))


def _explain() -> dict[str, Any]:
    crashed = gdb.selected_thread()
    try:
        found = _of_thread_that_failed(fault())
        cause, thread = cause_of(found), None
        if cause.kind in _HUNG:
            cause, thread = hangs.explain(cause)
        cause = cause._replace(evidence=[*cause.evidence, *found.handled])
        answer = _answer(cause, found)
        return answer if thread is None else {**answer, "thread": thread, "frame": 0}
    finally:
        if crashed is not None:
            crashed.switch()


def _of_thread_that_failed(first: Fault) -> Fault:
    """``first`` itself unless Go's runtime handed the crash on to its thread."""
    if not go.was_handed_on(first):
        return first
    selected = selection.thread()
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda each: each.num)[:_MAX_THREADS]:
        thread.switch()
        other = fault()
        if other.place.interrupted or go.failed(other):
            return other
    selected.switch()
    return first


def _answer(cause: Cause, found: Fault | None = None) -> dict[str, Any]:
    place: dict[str, Any] = {"thread": None, "frame": 0, "signal": None}
    if found:
        place = {"thread": found.place.thread, "frame": found.place.interrupted, "signal": found.signal}
    return {**place, **cause._asdict()}
