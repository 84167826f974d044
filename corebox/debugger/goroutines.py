"""The goroutines of a Go program in what gdb answers about a crash."""

from typing import NamedTuple

from corebox.bundle.fields import FLAG, NUMBER, Annotated, array, record
from corebox.debugger.kinds import MAX_COUNT, TEXT, several


class GoFrame(NamedTuple):
    """A function of Go."""

    function: Annotated[str, TEXT, "Name of the function, with its package."]
    file: Annotated[str | None, TEXT, "Source file, as the program's tables name it."]
    line: Annotated[int | None, NUMBER, "Line in that file."]


class GoroutineGroup(NamedTuple):
    """Goroutines whose stacks and states are the same."""

    numbers: Annotated[tuple[int, ...], array(NUMBER, MAX_COUNT), "Their numbers, as Go prints them, the first 64."]
    total: Annotated[int, NUMBER.called("count"), "How many they are."]
    state: Annotated[str, TEXT, "`running`, `runnable`, `waiting`, `syscall` and the like."]
    reason: Annotated[str | None, TEXT, "What they wait for, in the words of Go's runtime: `chan receive`."]
    thread: Annotated[int | None, NUMBER, "gdb's number of the thread that runs the one."]
    panic: Annotated[str | None, TEXT, "The text that it panicked with, if that is known."]
    frames: Annotated[
        tuple[GoFrame, ...], several(GoFrame), "The calls, the innermost first, those that were inlined, too."
    ]
    complete: Annotated[bool, FLAG, "Whether the frames go to where they began."]
    created_by: Annotated[GoFrame | None, record(GoFrame), "The `go` statement that they were begun by."]


class Goroutines(NamedTuple):
    """All goroutines."""

    version: Annotated[str, TEXT, "The version of Go that built the program."]
    total: Annotated[int, NUMBER.called("count"), "How many were read."]
    by_shape: Annotated[
        bool, FLAG, "Whether their list was found by its shape in memory, because the program has no symbols."
    ]
    groups: Annotated[
        tuple[GoroutineGroup, ...],
        several(GoroutineGroup),
        "Goroutines with equal stacks and states together: the one that failed first, then those that a thread runs,"
        " those of Go's runtime itself last. At most 256 groups.",
    ]
    omitted: Annotated[int, NUMBER, "How many are not in `groups`."]
