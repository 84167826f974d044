"""What a report shows of goroutines: groups of equal ones, calls of Go's runtime folded."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from corebox.debugger.goroutines import GoFrame, GoroutineGroup, Goroutines
from corebox.printable import counted
from corebox.report import skiplist

#: Groups that are shown with their stacks, and of the others those that have a line.
MAX_IN_FULL, MAX_IN_SHORT = 10, 50
_MAX_NAMED = 8


def heading(known: Goroutines) -> str:
    """How many there are."""
    shape = ", found by the shape of their list" if known.by_shape else ""
    return f"{counted(known.total, 'goroutine')} of {known.version}{shape}"


def group_heading(group: GoroutineGroup) -> str:
    """Which goroutines, and their state."""
    numbers = ", ".join(map(str, group.numbers[:_MAX_NAMED])) + (" …" if group.total > _MAX_NAMED else "")
    what = f"goroutine {numbers}" if group.total == 1 else f"{group.total:,} goroutines ({numbers})"
    state = f"{group.state}: {group.reason}" if group.reason else group.state
    return f"{what} [{state}]" + (f", thread {group.thread}" if group.thread else "")


def own_function(group: GoroutineGroup) -> str:
    """What they are doing: the innermost function that is the program's own, else the innermost."""
    frames = [each.function for each in group.frames]
    return next((each for each in frames if not skiplist.has_function(each)), next(iter(frames), "no frame"))


def runs(frames: Sequence[GoFrame]) -> Iterator[tuple[bool, list[GoFrame]]]:
    """The frames in runs, and whether a run is of several calls in Go's own packages, to be folded."""
    for internal, run in groupby(frames, lambda each: skiplist.has_function(each.function)):
        found = list(run)
        yield internal and len(found) > 1, found


def lines(known: Goroutines) -> Iterator[str]:
    """The first groups in full, of the others a line each."""
    for group in known.groups[:MAX_IN_FULL]:
        yield group_heading(group)
        yield from (f"  {each}" for each in _group(group))
    for group in known.groups[MAX_IN_FULL:][:MAX_IN_SHORT]:
        yield f"{group_heading(group)} in {own_function(group)}"
    omitted = known.omitted + sum(each.total for each in known.groups[MAX_IN_FULL + MAX_IN_SHORT :])
    if omitted:
        yield f"{counted(omitted, 'more goroutine')} not shown; corebox shell, then: corebox goroutines"


def _group(group: GoroutineGroup) -> Iterator[str]:
    if group.panic:
        yield f"panic: {group.panic}"
    for folded, frames in runs(group.frames):
        if folded:
            yield "in Go's runtime: " + ", ".join(dict.fromkeys(each.function for each in frames))
        else:
            yield from map(place, frames)
    if not group.complete:
        yield "the stack cannot be followed further"
    if group.created_by:
        yield f"created by {place(group.created_by)}"


def place(frame: GoFrame) -> str:
    """Function, file and line."""
    return frame.function + (f" at {frame.file}{f':{frame.line}' if frame.line else ''}" if frame.file else "")
