"""Two short texts that are the same in all crashes with the same cause, for finding duplicates.

The family is what happened and the first function of the program's own; the signature adds the signal, what the program
said, and the functions that called it. Both are made of names, which stay when addresses, lines, compilers' clones and
machines change; runtimes, what reports failures (``skiplists/``), and frames that are not proved do not count.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from posixpath import basename

from corebox.debugger.answer import Why
from corebox.report import skiplist
from corebox.report.document import PlacedFrame
from corebox.report.family import Signature
from corebox.report.names import inlined_callable, library_name, plain_name
from corebox.report.python import PYTHON, PlacedPython, is_library, label

#: A function without a name, as V8's own tools call it.
ANONYMOUS = "(anonymous)"
#: How many of the program's own functions are in a signature, from the fault outwards.
DEPTH = 5
#: A function that recurs without end is at least so often among the innermost frames.
RECURSION = 16
#: So many frames at the top of an endless recursion are chance: what it called when the stack was full.
_CHANCE = 12
_MAX_PERIOD_LENGTH = 24
#: Packages of the Java Development Kit, as far as programs call them.
_JDK = ("java.", "javax.", "jdk.", "sun.", "com.sun.")


def signature(
    signal: str | None,
    frames: Sequence[PlacedFrame],
    why: Why | None = None,
    python: Sequence[PlacedPython] = (),
) -> Signature:
    """The signature of a stack.

    Args:
        signal: name of the signal that the program failed with.
        frames: of the thread that failed, innermost first; a handler's are passed over as ``why`` says.
        why: the kind of fault.
        python: the Python frames of the thread.
    """
    kind = why.kind if why else "unknown"
    start = why.frame if why else 0
    own = list(_own(frames, start, python, kind))
    if why and why.function:
        own.insert(0, plain_name(why.function))
    frames = [frame for frame in proved(frames) if frame.level >= start] or frames
    endless = _recurring(own) if kind == "stack-overflow" or _repeats(own) else []
    if not own and kind == "stack-overflow":
        endless = _recurring([_label(frame) for frame in frames if frame.function])
    if endless:
        last = max((index for index, name in enumerate(own) if name in endless), default=-1)
        functions = [*endless, *dict.fromkeys(own[last + 1 :])]
        functions = functions[: max(len(endless), DEPTH)]
    else:
        functions = list(dict.fromkeys(own))[:DEPTH]
    detail = why.detail if why else None
    return Signature(signal, kind, detail, tuple(functions or [_nearest(frames)]), len(endless), bool(own))


def proved(frames: Sequence[PlacedFrame]) -> Sequence[PlacedFrame]:
    """The frames up to the first that is a guess by its callee's first instructions: all further out rests on it."""
    return tuple(takewhile(lambda each: each.frame.unwind != "prologue", frames))


def is_runtime(frame: PlacedFrame) -> bool:
    """Whether a frame is of a runtime, or of what reports failures, not of the program."""
    if frame.frame.language:
        return is_languages_own(frame.function or "", frame.frame.file, frame.frame.language)
    if frame.module and skiplist.has_module(frame.module):
        return True
    return bool(frame.function) and skiplist.has_function(plain_name(frame.function or ""))


def is_languages_own(function: str, file: str | None, language: str | None) -> bool:
    """Whether a managed function comes with its language, as node's modules, ``node:...``, and what has no file."""
    if language == PYTHON:
        return is_library(file or "")
    if file is None or file.startswith("node:"):
        return True
    return function.startswith(_JDK) if language == "Java" else language == "Go" and skiplist.has_function(function)


def stands_for_own(frame: PlacedFrame, kind: str) -> str | None:
    """The program's own lambda of which a frame is that is a library's by name, if nothing tells its code from it.

    Nothing does without debug information, nor where the canary of the frame was overwritten: by whatever is in it.
    """
    if not frame.function or not frame.module or skiplist.has_module(frame.module) or not is_runtime(frame):
        return None
    if frame.frame.file and kind != "stack-smashing":
        return None
    name = inlined_callable(frame.function)
    return None if name is None or skiplist.has_function(name) else name


def _own(frames: Sequence[PlacedFrame], start: int, python: Sequence[PlacedPython], kind: str) -> Iterator[str]:
    """The program's own functions, native ones and Python's at the native frames that run them."""
    placed: dict[int | None, list[PlacedPython]] = {}
    for each in python:
        placed.setdefault(each.native, []).append(each)
    sound, found = len(proved(frames)), False
    for index, frame in enumerate(frames):  # of the thread, as Python's frames count them; frame.level counts all
        if frame.frame.language != PYTHON:  # which has them itself
            yield from (each.label for each in placed.get(index, ()) if not is_library(each.frame.file))
        if index < sound and frame.level >= start and _is_known(frame):
            for name in _names(frame, None if found else stands_for_own(frame, kind)):
                found = True
                yield name
    yield from (each.label for each in placed.get(None, ()) if not is_library(each.frame.file))


def _names(frame: PlacedFrame, inside: str | None) -> Iterator[str]:
    """The program's own functions that a frame is evidence of, the innermost first; ``inside`` if it is a library's."""
    gone = plain_name(frame.frame.tail_call) if frame.frame.tail_call else None
    if gone and not skiplist.has_module(frame.module or "") and not skiplist.has_function(gone):
        yield gone
    if not is_runtime(frame):
        yield _label(frame)
    elif inside:
        yield inside
    for each in frame.frame.inlined_into:
        if not is_languages_own(each.function, each.file, frame.frame.language):
            yield label(each.function, each.file) if frame.frame.language == PYTHON else each.function


def _is_known(frame: PlacedFrame) -> bool:
    """Code of no module has no name that could be the same twice, and a signal handler's frame is no function."""
    return frame.kind != "signal-handler" and bool(frame.function or frame.module)


def _label(frame: PlacedFrame) -> str:
    if frame.frame.language == PYTHON:
        return label(frame.function, frame.frame.file)
    if frame.frame.language and frame.function:
        return frame.function if frame.function != ANONYMOUS else f"{ANONYMOUS} in {basename(frame.frame.file or '')}"
    return plain_name(frame.function) if frame.function else frame.place


def _nearest(frames: Sequence[PlacedFrame]) -> str:
    """Where no function is the program's own: module and function, of its own modules rather than of a library.

    The C library's come last: its functions end a process for whoever called them.
    """
    native = [frame for frame in frames if frame.frame.language != PYTHON]
    known = [frame for frame in native if frame.kind != "signal-handler" and frame.module]
    outside = [frame for frame in known if not skiplist.has_module(frame.module or "")]
    named = [frame for frame in known if frame.function]
    runtimes = [frame for frame in named if not skiplist.is_c_library(frame.module or "")]
    ended = any(library_name(frame.function or "") == "abort" for frame in named)  # what reported it lies further in
    counted = [frame for frame in named if not skiplist.has_function(plain_name(frame.function or ""))] if ended else []
    for frame in (*outside, *counted, *runtimes, *named, *known):
        module = basename(frame.module or "")
        return f"{module}({library_name(frame.function)})" if frame.function else frame.place
    return "(no module)"


def _repeats(names: Sequence[str]) -> bool:
    """Whether the calls repeat without end from the top on, but for what chance put there."""
    for start in range(min(_CHANCE, len(names))):
        rest = names[start:]
        for period in range(1, min(_MAX_PERIOD_LENGTH, len(rest) // RECURSION) + 1):
            if rest[period:] == rest[:-period]:
                return True
    return False


def _recurring(names: Sequence[str]) -> list[str]:
    """The functions that call each other without end, sorted."""
    counts = Counter(names)
    most = max(counts.values(), default=0)
    return sorted(name for name, count in counts.items() if count * 2 >= most and count >= min(RECURSION, most) > 1)
