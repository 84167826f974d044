"""What is shown of a stack: recursions and the C library's internals folded, what was left out counted."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from corebox.report.document import PlacedFrame, ThreadGroup
from corebox.report.names import plain_name
from corebox.report.python import PYTHON
from corebox.report.signature import is_runtime, stands_for_own

#: The calls of a recursion that are shown before it is folded, and the longest cycle of functions that is found.
_SHOWN, _MAX_CYCLE_LENGTH = 2, 8
#: So many calls more of the same functions are folded.
_FEWEST = 3


class Entry(NamedTuple):
    """A piece of a stack.

    Attributes:
        kind: ``frame``; ``recursion``, further calls of the functions shown before; ``omitted``, frames that were not
            read; ``library``, calls within runtime libraries.
        frames: those that it stands for, as far as they were read; of ``frame`` one.
        first: number of the innermost of them in the whole stack.
        last: number of the outermost.
        functions: their names without arguments, each once, the innermost first.
    """

    kind: str
    frames: tuple[PlacedFrame, ...]
    first: int
    last: int
    functions: tuple[str, ...]

    @property
    def calls(self) -> int:
        """How many frames it stands for."""
        return self.last - self.first + 1


def entries(group: ThreadGroup) -> Iterator[Entry]:
    """The stack of a group of threads from the innermost frame on."""
    for kind, run in groupby(_without_recursion(group), lambda each: _is_internal(each, group)):
        found = list(run)
        if kind and len(found) > 1:
            yield _entry("library", [each.frames[0] for each in found])
        else:
            yield from found


def own_function(group: ThreadGroup) -> str:
    """What a group of threads is doing: the innermost function that is the program's own, else the innermost."""
    frames = [frame for frame in group.frames if frame.kind != "signal-handler"]
    own = next((frame for frame in frames if frame.function and not is_runtime(frame)), None)
    frame = own or next(iter(frames), None)
    return (frame.function or frame.place) if frame else "no frame"


def _is_internal(entry: Entry, group: ThreadGroup) -> bool:
    """Whether it may be folded away: not the innermost frame, a signal handler, or what runs Python."""
    if entry.kind != "frame" or entry.first == 0 or entry.frames[0].kind == "signal-handler":
        return False
    if entry.frames[0].frame.language == PYTHON or group.python_at(entry.first):
        return False
    if stands_for_own(entry.frames[0], ""):
        return False
    return is_runtime(entry.frames[0])


def _without_recursion(group: ThreadGroup) -> Iterator[Entry]:
    keys = [_key(group, index) for index in range(len(group.frames))]
    index, gap = 0, group.omitted
    while index < len(keys):
        if gap and index == gap.after:
            yield _gap(group)
        cycle, end, over = _recursion(group, keys, index)
        shown = max(cycle, _SHOWN)
        if not cycle or end - index - shown + (gap.frames if gap and over else 0) < max(_FEWEST, cycle):
            yield _entry("frame", [group.frames[index]])
            index += 1
            continue
        for frame in group.frames[index : index + shown]:
            yield _entry("frame", [frame])
        yield _entry("recursion", group.frames[index + shown : end], cycle, group.frames[index + shown - 1].level)
        index = end
        if over:  # the gap is a part of it
            gap = None


def _recursion(group: ThreadGroup, keys: Sequence[object], start: int) -> tuple[int, int, bool]:
    """The length of the cycle of functions that begins at ``start``, the index behind it, and whether it has the gap.

    The length is 0 if there is none; of several the shortest is taken that goes farthest.
    """
    best = (0, start, False)
    for cycle in range(1, _MAX_CYCLE_LENGTH + 1):
        end, over = _cycle_end(group, keys, start, cycle)
        if end > max(best[1], start + cycle):
            best = (cycle, end, over)
    return best


def _cycle_end(group: ThreadGroup, keys: Sequence[object], start: int, cycle: int) -> tuple[int, bool]:
    gap, over = group.omitted, False
    members = set(keys[start : start + cycle])
    end = start + cycle
    while end < len(keys):
        if gap and end == gap.after and start < gap.after:
            names = {group.frames[index].function for index in range(start, min(start + cycle, len(keys)))}
            if not {name for name, _ in gap.functions} <= names:
                break
            over = True
        if keys[end] != keys[end - cycle] and not (over and keys[end] in members):
            break
        end += 1
    return end, over


def _key(group: ThreadGroup, index: int) -> object:
    frame = group.frames[index]
    python = tuple(each.text for each in group.python if each.native == index)
    return frame.function or frame.frame.pc, frame.module, frame.kind, python


def _gap(group: ThreadGroup) -> Entry:
    gap = group.omitted
    assert gap
    names = tuple(f"{name or '(no name)'} ({count:,})" for name, count in gap.functions)
    return Entry("omitted", (), gap.after, gap.after + gap.frames - 1, names)


def _entry(kind: str, frames: Sequence[PlacedFrame], cycle: int | None = None, before: int | None = None) -> Entry:
    first = frames[0].level if before is None else before + 1
    # Of templates' names a line would have thousands of characters.
    names = (plain_name(frame.function) if frame.function else frame.place for frame in frames[:cycle])
    return Entry(kind, tuple(frames), first, frames[-1].level, tuple(dict.fromkeys(names)))
