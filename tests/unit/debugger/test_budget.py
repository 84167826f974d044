"""What may be parsed of hostile JSON."""

import tracemalloc

import pytest

from corebox.debugger.answer import parse_answer
from corebox.debugger.budget import MAX_ANSWER, MAX_FRAMES, MAX_VALUES, Budget
from corebox.debugger.records import read_records

FRAME = b'{"pc":"0x1","kind":"normal","function":"f","file":null,"line":null,"unwind":"cfi"}'


def forged(found: bytes) -> bytes:
    """What gdb would write if this were what it found."""
    return b'\x1ecorebox-answer {"version":1,"step":0,"part":"stacks","error":null,"found":' + found + b"}\x1e\n"


@pytest.mark.parametrize("unit", [b"[]", b'{"a":1}', FRAME])
def test_a_forged_report_costs_little_memory(unit: bytes) -> None:
    """As much as is taken, and as much as gdb may write at most: 62 MB are refused by ``engine.run`` already."""
    signs = sum(unit.count(sign) for sign in (b",", b"[", b"{")) + 1
    for count in (MAX_VALUES // signs - 10, MAX_ANSWER // (len(unit) + 1)):
        output = forged(b"[" + b",".join([unit] * count) + b"]")
        tracemalloc.start()
        parse_answer(list(read_records(output)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 150 << 20


def test_one_text_of_the_longest() -> None:
    assert len(list(read_records(forged(b'"' + b"a" * (MAX_ANSWER - 200) + b'"')))) == 1
    assert list(read_records(forged(b'"' + b"a" * MAX_ANSWER + b'"'))) == []


def test_frames_are_counted_before_they_are_parsed() -> None:
    for count, taken in ((MAX_FRAMES, 1), (MAX_FRAMES + 1, 0)):
        assert len(list(read_records(forged(b"[" + b",".join([b'{"pc":1}'] * count) + b"]")))) == taken


def test_all_answers_to_one_question_have_one_budget() -> None:
    budget, half = Budget(), forged(b"[" + b"1," * (MAX_VALUES * 2 // 3) + b"1]")
    assert [len(list(read_records(half, budget))) for _ in range(2)] == [1, 0]


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b"[" * 100_000, b'"\xff"', b"1" * 5000])
def test_what_is_not_json_is_one_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Budget().loads(text)
