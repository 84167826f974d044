"""What gdb writes is data from a place where strangers' code ran: values of bounded size, or a missing part."""

import json
from typing import Any

import pytest

from corebox.debugger.answer import Answer, parse_answer, parse_source_names
from corebox.debugger.records import read_records
from corebox.errors import InputError

FRAME = {"pc": "0x1149", "kind": "normal", "function": "main", "file": None, "line": None, "unwind": "cfi"}
THREAD: dict[str, Any] = {
    "number": 1, "tid": 7, "name": None, "frames": [FRAME], "end": "corrupt", "complete": False, "omitted": None,
}  # fmt: skip
VALUES: dict[str, Any] = {
    "arguments": [{"name": "count", "value": "1"}], "locals": [], "omitted": 2, "missing": None,
    "source": [{"line": 7, "text": "x"}],
}  # fmt: skip
GOOD: dict[str, Any] = {
    "stacks": {"threads": [THREAD], "total": 1, "gdb": "18.1", "python": False},
    "registers": [{"name": "rip", "value": "0x1149"}],
    "disassembly": [{"address": "0x1149", "text": "ud2"}],
    "cause": {
        "kind": "trap",
        "sentence": "A trap",
        "evidence": ["ud2"],
        "detail": None,
        "thread": None,
        "frame": 0,
        "signal": 5,
    },
    "python": None,
    "goroutines": None,
    "values": VALUES,
}


def record(step: int, part: str, found: Any, error: str | None = None) -> bytes:
    return framed(json.dumps({"version": 1, "step": step, "part": part, "found": found, "error": error}))


def framed(text: str) -> bytes:
    return b"noise\n\x1ecorebox-answer " + text.encode() + b"\x1e\nmore\n"


def parse(deaths: tuple[tuple[int, str], ...] = (), **changed: Any) -> Answer:
    parts = {**GOOD, **changed}
    output = b"".join(record(step, part, found) for step, (part, found) in enumerate(parts.items()))
    return parse_answer(list(read_records(output)), deaths)


def missing(answer: Answer) -> list[str]:
    return [each.part for each in answer.missing]


def test_an_answer_is_found_among_what_else_is_written() -> None:
    answer = parse()
    (frame,) = answer.threads[0].frames
    assert (frame.pc, frame.arguments[0].name, frame.omitted, frame.no_values) == (0x1149, "count", 2, None)
    assert (frame.unwind, answer.threads[0].end, answer.threads[0].complete) == ("cfi", "corrupt", False)
    assert answer.why is not None
    assert answer.why.evidence == ("ud2",)
    assert answer.missing == ()


NOTHING = {
    "nothing": b"",
    "no end": b"\x1ecorebox-answer {}",
    "no JSON": framed("{"),
    "no object": framed("[]"),
    "deep": framed("[" * 100_000),
    "a huge number": framed('{"version": ' + "1" * 10_000 + "}"),
    "another version": framed('{"version": 2, "step": 0, "part": "stacks", "found": null, "error": null}'),
    "a step that is none": framed('{"version": 1, "step": -1, "part": "stacks", "found": null, "error": null}'),
}


@pytest.mark.parametrize("output", NOTHING.values(), ids=list(NOTHING))
def test_without_an_answer_every_part_is_missing(output: bytes) -> None:
    answer = parse_answer(list(read_records(output)))
    assert missing(answer) == ["stacks", "registers", "disassembly", "cause"]
    with pytest.raises(InputError) as caught:
        parse_source_names(output)
    assert caught.value.code == "no-answer"


STACKS = GOOD["stacks"]
MALFORMED: dict[str, dict[str, Any]] = {
    "too many threads": {"stacks": {**STACKS, "threads": [THREAD] * 5000}},
    "a negative number": {"stacks": {**STACKS, "threads": [{**THREAD, "number": -1}]}},
    "an address of 65 bits": {"registers": [{"name": "rip", "value": "0x1" + "0" * 16}]},
    "a name that is a list": {"registers": [{"name": [], "value": "0x1"}]},
    "no evidence": {"cause": {"kind": "trap", "sentence": "A trap"}},
    "a text for a list": {"disassembly": "ud2"},
}


@pytest.mark.parametrize("changed", MALFORMED.values(), ids=list(MALFORMED))
def test_a_malformed_part_costs_that_part_alone(changed: dict[str, Any]) -> None:
    answer = parse(**changed)
    assert missing(answer) == list(changed)
    assert "malformed" in answer.missing[0].reason


def test_malformed_values_cost_those_of_that_frame_alone() -> None:
    (frame,) = parse(values={**VALUES, "locals": 7}).threads[0].frames
    assert frame.function == "main"
    assert frame.no_values == "gdb's answer is malformed (TypeError)"


def test_what_gdb_died_of_is_told_where_it_costs_something() -> None:
    records = list(read_records(record(0, "stacks", STACKS) + record(1, "registers", None, "no registers")))
    answer = parse_answer(records, [(2, "gdb crashed"), (6, "gdb hung")])
    reasons = {"registers": "no registers", "disassembly": "gdb crashed", "cause": "gdb ended before"}
    assert dict(answer.missing) == reasons
    assert answer.threads[0].frames[0].no_values == "gdb hung"


def test_texts_are_cut() -> None:
    answer = parse(disassembly=[{"address": "0x1", "text": "x" * 10_000}])
    assert len(answer.disassembly[0].text) == 4096


PYTHON = {"tid": 7, "frames": [{"function": "main", "file": "x.py", "line": 3, "entry": True}], "omitted": 2}


def test_python_stacks_join_their_threads() -> None:
    answer = parse(python=[PYTHON, {**PYTHON, "tid": 99}])
    (frame,) = answer.threads[0].python
    assert (frame.function, frame.file, frame.line, frame.entry) == ("main", "x.py", 3, True)
    assert answer.missing == ()


def routine(thread: int | None, number: int) -> dict[str, Any]:
    place = {"function": "main.price", "file": "/shop/main.go", "line": 7}
    return {
        "numbers": [number], "count": 1, "state": "running", "reason": None, "thread": thread, "panic": "no money",
        "frames": [place], "complete": True, "created_by": None,
    }  # fmt: skip


def test_goroutines_give_their_threads_names() -> None:
    groups = [routine(1, 18), routine(None, 1), routine(99, 5)]
    answer = parse(goroutines={"version": "go1.22", "count": 3, "by_shape": False, "groups": groups, "omitted": 0})
    assert [each.name for each in answer.threads] == [", ".join(filter(None, (THREAD["name"], "goroutine 18")))]
    assert answer.goroutines is not None
    assert answer.goroutines.groups[0].frames[0].function == "main.price"
    assert answer.missing == ()


@pytest.mark.parametrize("key", ["numbers", "frames", "version", "panic"])
def test_goroutines_are_as_hostile_as_all(key: str) -> None:
    bad = {"version": "go1.22", "count": 1, "by_shape": False, "groups": [{**routine(1, 18), key: {}}], "omitted": 0}
    assert missing(parse(goroutines={**bad, "version": {}} if key == "version" else bad)) == ["goroutines"]


def test_goroutines_that_cannot_be_read_are_missing_in_go_alone() -> None:
    for go, expected in ((True, ["goroutines"]), (False, [])):
        records = list(read_records(record(0, "stacks", {**STACKS, "go": go})))
        lacking = missing(parse_answer(records, [(5, "gdb crashed")]))
        assert [each for each in lacking if each == "goroutines"] == expected


def test_a_gdb_that_died_of_the_python_stacks_has_told_the_rest() -> None:
    records = list(read_records(record(0, "stacks", {**STACKS, "python": True})))
    answer = parse_answer(records, [(4, "gdb ended (exit status 1)")])
    assert answer.threads[0].frames[0].function == "main"
    assert dict(answer.missing)["python"] == "gdb ended (exit status 1)"


@pytest.mark.parametrize("line", [-1, 1 << 63, "3", None])
def test_python_frames_are_as_hostile_as_all(line: object) -> None:
    bad = {**PYTHON, "frames": [{"function": "f", "file": "x", "line": line, "entry": True}]}
    assert missing(parse(python=[bad])) == ["python"]
