"""How a gdb that died is told, and what is asked of the next one."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from corebox.actions.ask import MAX_STARTS, ask_gdb, how_it_ended
from corebox.actions.session import Session
from corebox.debugger.records import LAST
from corebox.engine.sandbox import Finished, Sandbox
from corebox.errors import HostError

ENDS = {
    "gdb crashed: Fatal signal: Segmentation fault": (1, "\nFatal signal: Segmentation fault\n-- Backtrace --\n"),
    "gdb did not answer within 0:00:10 and was stopped": (1, "Timeout (0:00:10)!\nThread 0x1:\n"),
    "gdb ended (SIGKILL)": (137, ""),
    "gdb ended (exit status 1): no such core": (1, "no such core\n---------------------\n"),
    "gdb stopped with an internal error (in _ZN4core5buildEv)": (
        1, "gdb(_Z18internal_error_locPKciS0_z+0x90)[0x25]\ngdb(_ZN4core5buildEv+0xec8)[0x1a]\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", ENDS)
def test_how_gdb_ended_is_told_in_its_own_words(words: str) -> None:
    status, errors = ENDS[words]
    assert how_it_ended(Finished(status, b"", errors.encode())) == words


class Scripted:
    """An engine whose runs are written down: for each the steps that gdb answers, or None for the time limit."""

    name = "scripted"

    def __init__(self, runs: Sequence[Sequence[tuple[int, str]] | None]) -> None:
        self.runs, self.asked = list(runs), list[str]()

    def run(self, _sandbox: Sandbox, command: Sequence[str], _time_limit: float, _max_output: int) -> Finished:
        self.asked += re.findall(r"report\.answer\((\d+)\)", command[-1])
        steps = self.runs.pop(0)
        if steps is None:
            raise HostError("time-limit", "too slow", "give it more time")
        records = ({"version": 1, "step": step, "part": part, "found": None, "error": None} for step, part in steps)
        output = "".join(f"\x1ecorebox-answer {json.dumps(each)}\x1e\n" for each in records)
        return Finished(1, output.encode(), b"Fatal signal: Aborted\n")


def ask(*runs: Sequence[tuple[int, str]] | None) -> tuple[Any, list[str]]:
    engine: Any = Scripted(runs)
    crash: Any = None  # nobody asks for it
    session = Session(engine, Sandbox(Path("/")), ("gdb",), crash, (), (), (), ())
    return ask_gdb(session, 60.0), engine.asked


def test_gdb_is_asked_again_from_the_step_after_the_one_that_it_died_of() -> None:
    asked, first = ask([(0, "stacks"), (1, "registers")], [(3, "cause"), (4, LAST)])
    assert first == ["0", "3"]
    assert asked.deaths == ((2, "gdb crashed: Fatal signal: Aborted"),)
    assert [each.part for each in asked.records] == ["stacks", "registers", "cause", LAST]


def test_a_gdb_that_always_dies_is_given_up() -> None:
    asked, first = ask([], [])
    assert first == ["0", "1"]
    assert asked.records == ()
    _, first = ask([(0, "stacks")], *[[]] * (MAX_STARTS - 1))
    assert len(first) == MAX_STARTS


def test_the_time_limit_is_an_error_only_if_nothing_is_known() -> None:
    asked, _ = ask([(0, "stacks")], None)
    assert asked.deaths[-1] == (2, "the time limit of 60 s was reached")
    with pytest.raises(HostError):
        ask(None)
