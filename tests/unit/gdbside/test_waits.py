"""Threads that wait for each other's mutexes."""

from corebox.gdbside.why.deadlock import Wait, explained
from corebox.gdbside.why.facts import Cause

SENT = Cause("sent-signal", "Process 7 sent SIGABRT; nothing crashed here", ["si_code 0"])
NUMBERS = {100: 1, 101: 2, 102: 3}


def test_two_threads_in_a_circle() -> None:
    waits = [Wait(3, 102, 0x30, 100, "log"), Wait(2, 101, 0x20, 100, "pay"), Wait(1, 100, 0x10, 101, "book")]
    cause, thread = explained(SENT, waits, NUMBERS)
    assert cause.kind == "deadlock"
    assert cause.sentence == "Deadlock: threads 1 and 2 wait for each other's mutexes"
    assert cause.detail == "book, pay"
    assert list(cause.evidence) == [
        "thread 1 (LWP 100) waits in book for the mutex at 0x10, held by thread 2 (LWP 101)",
        "thread 2 (LWP 101) waits in pay for the mutex at 0x20, held by thread 1 (LWP 100)",
        "si_code 0",
    ]
    assert thread == 1


def test_a_thread_that_waits_for_itself() -> None:
    cause, thread = explained(SENT, [Wait(2, 101, 0x20, 101, "")], NUMBERS)
    assert cause.sentence == "Deadlock: thread 2 waits for a mutex that it holds itself"
    assert (cause.detail, thread) == (None, 2)


def test_who_waits_is_told_without_a_circle() -> None:
    cause, thread = explained(SENT, [Wait(2, 101, 0x20, 100, "pay")], NUMBERS)
    assert (cause.kind, thread) == ("sent-signal", None)
    assert cause.evidence[1].startswith("thread 2 (LWP 101) waits in pay")


def test_a_chain_into_a_circle_of_others_is_none_of_its_own() -> None:
    waits = [Wait(1, 100, 0x10, 101, "a"), Wait(2, 101, 0x20, 102, "b"), Wait(3, 102, 0x30, 101, "c")]
    assert explained(SENT, waits, NUMBERS)[0].detail == "b, c"


def test_nobody_waits() -> None:
    assert explained(SENT, [], {}) == (SENT, None)
