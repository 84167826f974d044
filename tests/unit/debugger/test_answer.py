"""What gdb writes is data from a place where strangers' code ran: a value of bounded size, or an error."""

import json
from typing import Any

import pytest

from corebox.debugger.answer import parse_answer
from corebox.errors import InputError

FRAME = {
    "pc": "0x1149", "kind": "normal", "function": "main", "file": None, "line": None,
    "arguments": [{"name": "count", "value": "1"}], "locals": [], "source": [{"line": 7, "text": "x"}],
}  # fmt: skip
GOOD: dict[str, Any] = {
    "version": 1,
    "threads": [{"number": 1, "tid": 7, "name": None, "frames": [FRAME], "end": None}],
    "registers": [{"name": "rip", "value": "0x1149"}],
    "disassembly": [{"address": "0x1149", "text": "ud2"}],
    "why": {"kind": "trap", "sentence": "A trap", "evidence": ["ud2"], "detail": None},
    "python": False,
}


def framed(text: str) -> bytes:
    return b"noise\n\x1ecorebox-answer " + text.encode() + b"\x1e\nmore\n"


def test_an_answer_is_found_among_what_else_is_written() -> None:
    answer = parse_answer(framed(json.dumps(GOOD)))
    assert answer.threads[0].frames[0].pc == 0x1149
    assert answer.threads[0].frames[0].arguments[0].name == "count"
    assert answer.why is not None
    assert answer.why.evidence == ("ud2",)


def changed(**parts: Any) -> str:
    return json.dumps({**GOOD, **parts})


HOSTILE = {
    "nothing": b"",
    "no end": b"\x1ecorebox-answer {}",
    "no JSON": framed("{"),
    "no object": framed("[]"),
    "deep": framed("[" * 100_000),
    "a huge number": framed('{"version": ' + "1" * 10_000 + "}"),
    "another version": framed(changed(version=2)),
    "too many threads": framed(changed(threads=GOOD["threads"] * 5000)),
    "a negative number": framed(changed(threads=[{"number": -1, "tid": 1, "name": None, "frames": [], "end": None}])),
    "an address of 65 bits": framed(changed(registers=[{"name": "rip", "value": "0x1" + "0" * 16}])),
    "a name that is a list": framed(changed(registers=[{"name": [], "value": "0x1"}])),
    "no evidence": framed(changed(why={"kind": "trap", "sentence": "A trap"})),
}


@pytest.mark.parametrize("output", HOSTILE.values(), ids=list(HOSTILE))
def test_what_is_no_answer_is_refused(output: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse_answer(output)
    assert caught.value.code == "no-answer"


def test_texts_are_cut() -> None:
    answer = parse_answer(framed(changed(disassembly=[{"address": "0x1", "text": "x" * 10_000}])))
    assert len(answer.disassembly[0].text) == 4096


PYTHON = {"tid": 7, "frames": [{"function": "main", "file": "x.py", "line": 3, "entry": True}]}


def with_python(record: Any) -> bytes:
    mark = b"\x1ecorebox-python " + json.dumps(record).encode() + b"\x1e\n"
    return framed(changed(python=True)) + mark


def test_python_stacks_join_their_threads() -> None:
    answer = parse_answer(with_python({"error": None, "threads": [PYTHON, {**PYTHON, "tid": 99}]}))
    (frame,) = answer.threads[0].python
    assert (frame.function, frame.file, frame.line, frame.entry) == ("main", "x.py", 3, True)
    assert answer.python_missing is None


def test_a_gdb_that_died_of_the_python_stacks_has_told_the_rest() -> None:
    answer = parse_answer(framed(changed(python=True)))
    assert answer.threads[0].frames[0].function == "main"
    assert answer.python_missing == "gdb ended while they were read"


@pytest.mark.parametrize("line", [-1, 1 << 63, "3", None])
def test_python_frames_are_as_hostile_as_all(line: object) -> None:
    bad = {**PYTHON, "frames": [{"function": "f", "file": "x", "line": line, "entry": True}]}
    with pytest.raises(InputError):
        parse_answer(with_python({"error": None, "threads": [bad]}))
