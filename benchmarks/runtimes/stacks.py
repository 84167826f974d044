"""Stacks as a runtime prints them and as corebox has them, and how far they agree."""

import difflib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple


class Frame(NamedTuple):
    """A function, and where in its source; None where the runtime does not say."""

    function: str
    file: str | None
    line: int | None


class Counts(NamedTuple):
    """How many frames are true, and of these how many were found, and how far; ``wrong`` were invented or misplaced."""

    true: int = 0
    function: int = 0
    with_file: int = 0
    file: int = 0
    with_line: int = 0
    line: int = 0
    wrong: int = 0

    def __add__(self, other: Any) -> "Counts":
        return Counts(*(left + right for left, right in zip(self, other, strict=True)))


def compare(true: list[Frame], ours: list[Frame]) -> tuple[Counts, list[str]]:
    """The counts, and what differs in words."""
    mine, theirs = ([each.function for each in side] for side in (ours, true))
    matches = difflib.SequenceMatcher(None, theirs, mine, autojunk=False).get_matching_blocks()
    pairs = {block.a + at: block.b + at for block in matches for at in range(block.size)}
    pairs.update(_nameless(true, ours, pairs))
    found = Counts(true=len(true), wrong=len(ours) - len(pairs))
    differ = [f"  wrong: {ours[at]}" for at in sorted(set(range(len(ours))) - set(pairs.values()))]
    for at, frame in enumerate(true):
        own = ours[pairs[at]] if at in pairs else Frame("", None, None)
        misplaced = at in pairs and (
            (own.file is not None and frame.file is not None and own.file != frame.file)
            or (own.line is not None and frame.line is not None and own.line != frame.line)
        )
        found += Counts(
            function=int(own.function == frame.function),
            with_file=int(frame.file is not None),
            file=int(frame.file is not None and own.file == frame.file),
            with_line=int(frame.line is not None),
            line=int(frame.line is not None and own.line == frame.line),
            wrong=int(misplaced),
        )
        if at not in pairs or misplaced or (frame.line is not None and own.line is None):
            differ.append(f"  {'wrong' if misplaced else 'lost'}: {frame}, ours: {own if at in pairs else 'none'}")
    return found, differ


def _nameless(true: list[Frame], ours: list[Frame], pairs: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Functions without a name: V8 prints that of the property that they are of, which it looks for."""
    for at in sorted(set(range(len(ours))) - set(pairs.values())):
        same = (index for index, each in enumerate(true) if index not in pairs and each[1:] == ours[at][1:])
        index = next(same, None)
        if index is not None and ours[at].file and ours[at].function == "(anonymous)":
            yield index, at


_GO_FRAME = re.compile(r"^(?!created by)(.+?)(?:\([^()]*\))?\n\t(\S.*?):(\d+)", re.MULTILINE)


def of_go(said: str) -> dict[str, list[Frame]]:
    """By GOTRACEBACK=crash: each goroutine, the failed one first; 0 is what the scheduler runs on a thread."""
    found: dict[str, list[Frame]] = {}
    for number, stack in re.findall(r"^goroutine (\d+)(?: gp=.*?)? \[[^]]*\]:\n((?:.+\n)+)", said, re.MULTILINE):
        frames = [Frame(name, file, int(line)) for name, file, line in _GO_FRAME.findall(stack)]
        if number != "0":
            found.setdefault(number, [each._replace(function=_panic(each.function)) for each in frames])
    return found


def _panic(name: str) -> str:
    return "runtime.gopanic" if name == "panic" else name


_SHAPE = re.compile(r"\[.*\]")  # which Go's runtime leaves out


def go_of(answer: Any) -> dict[str, list[Frame]]:
    """What we have of goroutines; the traceback begins where a panic was raised, ours where the process ended."""
    found = {}
    for group in answer["goroutines"]["groups"]:
        frames = [Frame(_SHAPE.sub("[...]", each["function"]), each["file"], each["line"]) for each in group["frames"]]
        at = next((index for index, each in enumerate(frames) if each.function == "runtime.gopanic"), 0)
        found.update({str(number): frames[at:] for number in group["numbers"]})
    return found


_IN_EVAL = re.compile(r"\(eval at .*\), <anonymous>(:\d+:\d+\))")  # which has no file
_NODE_FRAME = re.compile(r"^    at (?!async )(?:(.+) \()?(?:(.*?):(\d+):\d+|<anonymous>)\)?$", re.MULTILINE)


def of_node(said: str) -> dict[str, list[Frame]]:
    """By ``Error.stack``; what goes on later, ``async``, is not on the stack."""
    found = []
    for name, path, line in _NODE_FRAME.findall(_IN_EVAL.sub(r"(\1", said)):
        plain = re.sub(r" \[as .*\]$|^new ", "", name).rpartition(".")[2].replace("<anonymous>", "(anonymous)")
        file = path.removeprefix("file://")
        found.append(Frame(plain or "(anonymous)", file or None, int(line) if line else None))
    return {"": found}


def node_of(answer: Any) -> dict[str, list[Frame]]:
    """Of the thread that crashed; V8 prints some names with what they are a property of."""
    frames = _of_thread(answer, "JavaScript")
    return {"": [each._replace(function=each.function.rpartition(".")[2]) for each in frames]}


def _of_thread(answer: Any, language: str) -> Iterator[Frame]:
    for frame in answer["stacks"]["threads"][0]["frames"]:
        if frame["language"] == language:
            for each in (frame, *frame["inlined_into"]):
                yield Frame(each["function"], each["file"], each["line"])


_JAVA_FRAME = re.compile(r"^\tat (?:[\w.@]*/)*([\w.$/<>]+?)\((.*?)(?::(\d+))?\)$", re.MULTILINE)


def of_java(said: str) -> dict[str, list[Frame]]:
    """By ``Throwable.printStackTrace``."""
    found = []
    for name, file, line in _JAVA_FRAME.findall(said):
        place = None if file in ("Unknown Source", "Native Method") or "<" in file else file
        found.append(Frame(re.sub(r"/0x[0-9a-f]+", "", name), place, int(line) if line else None))
    return {"": found}


def java_of(answer: Any) -> dict[str, list[Frame]]:
    """Of the thread that crashed; it printed its stack just before it did, in ``Crash.now``."""
    frames = list(_of_thread(answer, "Java"))
    return {"": frames[next((at for at, each in enumerate(frames) if each.function == "Crash.now"), 0) :]}


def of_python(said: str) -> dict[str, list[Frame]]:
    """By ``faulthandler``."""
    stack = said.partition("Current thread")[2].partition("\n\n")[0].partition("\nThread ")[0]
    frames = re.findall(r'^  File "(.*)", line (\d+) in (.*)$', stack, re.MULTILINE)
    return {"": [Frame(_unescaped(name), file, int(line)) for file, line, name in frames]}


def _unescaped(name: str) -> str:
    return re.sub(r"\\x(..)|\\u(....)", lambda found: chr(int(found[1] or found[2], 16)), name)


def python_of(answer: Any) -> dict[str, list[Frame]]:
    """Of the thread that crashed; faulthandler does not have the class or function that a function is in."""
    tid = answer["stacks"]["threads"][0]["tid"]
    frames: Any = next((each["frames"] for each in answer["python"] if each["tid"] == tid), [])
    return {"": [Frame(each["function"].rpartition(".")[2], each["file"], each["line"]) for each in frames]}
