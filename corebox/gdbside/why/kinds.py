"""Runs inside gdb: what kind of fault it is, in a sentence, with what shows it.

Each kind has a function that looks for its signs and answers None if they are not there; the first answer counts. The
functions are in a file for each family: why_FAMILY.py.
"""

import gdb

from corebox.gdbside.why import c, cxx, faults, go, hangs, memory, runtimes, rust, sanitizers, signals

#: In this order: what says more of the cause comes before the signal that it ended with.
KINDS = (
    *sanitizers.KINDS, *go.KINDS, *rust.KINDS, *runtimes.KINDS, *cxx.KINDS,
    *signals.SENT, *c.KINDS, *memory.KINDS, *signals.KINDS,
)  # fmt: skip


def explain():
    """The cause as a dictionary, of the selected thread, which must have crashed.

    ``thread`` and ``frame`` say where the fault was: gdb's number of the thread, and how many frames of a handler come
    before; ``signal`` is the number of the signal that was interrupted by it.
    """
    try:
        return _explain()
    except Exception as error:  # noqa: BLE001 - a core may hold anything, and all else must be told nevertheless
        return _answer(faults.Cause("unknown", f"The cause cannot be determined: {error}", []))


def _explain():
    crashed = gdb.selected_thread()
    try:
        fault = go.elsewhere(faults.Fault())
        cause, thread = _cause(fault)
        found = _answer(cause, fault)
        return found if thread is None else {**found, "thread": thread, "frame": 0}
    finally:
        if crashed is not None:
            crashed.switch()


def _cause(fault):
    found = next(filter(None, (look(fault) for look in KINDS)), None)
    found = found or faults.Cause("other", faults.signal_name(fault.signal), memory.evidence(fault))
    thread = None
    if found.kind in ("snapshot", "sent-signal"):
        found, thread = hangs.explain(found)
    return found._replace(evidence=[*found.evidence, *fault.handled]), thread


def _answer(cause, fault=None):
    place = {"thread": fault.thread.num, "frame": fault.index, "signal": fault.signal} if fault else {}
    return {"thread": None, "frame": 0, "signal": None, **cause._asdict(), **place}
