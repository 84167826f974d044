"""Which threads wait for each other's mutexes in a circle."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from corebox.gdbside.why.facts import Cause

_MAX_LINES = 24


class Wait(NamedTuple):
    """A thread (gdb's number, the kernel's) that waits for a mutex, and the kernel's number of the owner."""

    number: int
    tid: int
    mutex: int
    owner: int
    function: str


def explained(cause: Cause, waits: Iterable[Wait], numbers: Mapping[int, int]) -> tuple[Cause, int | None]:
    """The cause again, or the deadlock that explains why somebody ended or copied the process; and who waits.

    With it, of a deadlock, gdb's number of a thread of it, which stands for all; else None.

    Args:
        cause: why the core was written.
        waits: the threads that wait for a mutex which is held.
        numbers: gdb's number of each thread by the kernel's.
    """
    waits = list(waits)
    by_tid = {wait.tid: wait for wait in waits}
    circle = _circle(waits, by_tid)
    lines = [_line(wait, numbers) for wait in sorted(circle or waits)[:_MAX_LINES]]
    if circle:
        names = ", ".join(sorted({wait.function for wait in circle if wait.function}))
        first = min(circle, key=lambda wait: (wait.function, wait.number))
        return Cause("deadlock", _sentence(circle), [*lines, *cause.evidence], names or None), first.number
    return cause._replace(evidence=[*cause.evidence, *lines]), None


def _circle(waits: Iterable[Wait], by_tid: Mapping[int, Wait]) -> list[Wait] | None:
    """Waits of which each is for a mutex that the next one's thread holds, or None; each wait is looked at once."""
    looked_at: set[int] = set()
    for wait in waits:
        path: list[Wait] = []
        at: Wait | None = wait
        while at is not None and at.tid not in looked_at:
            looked_at.add(at.tid)
            path.append(at)
            at = by_tid.get(at.owner)
        if at in path:
            return path[path.index(at) :]
    return None


def _sentence(circle: list[Wait]) -> str:
    if len(circle) == 1:
        return f"Deadlock: thread {circle[0].number} waits for a mutex that it holds itself"
    numbers = [str(wait.number) for wait in sorted(circle)]
    return f"Deadlock: threads {', '.join(numbers[:-1])} and {numbers[-1]} wait for each other's mutexes"


def _line(wait: Wait, numbers: Mapping[int, int]) -> str:
    where = f" in {wait.function}" if wait.function else ""
    holder = f"thread {numbers[wait.owner]} (LWP {wait.owner})"
    return f"thread {wait.number} (LWP {wait.tid}) waits{where} for the mutex at {wait.mutex:#x}, held by {holder}"
