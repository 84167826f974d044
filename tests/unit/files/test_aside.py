"""What is done in a process of its own: its answer, its silence, its end, and whose rights it has."""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from corebox.files.aside import StalledError, run_aside
from corebox.files.reader import Reader

PATIENCE = 600.0


def test_the_answer_comes_back() -> None:
    assert run_aside(lambda beat: [os.getpid() != here, "\n ä"], PATIENCE) == [True, "\n ä"]


here = os.getpid()


def test_beats_are_no_part_of_the_answer() -> None:
    def act(beat: Callable[[], object]) -> dict[str, int]:
        for _ in range(1000):
            beat()
        return {"a": 1}

    assert run_aside(act, PATIENCE) == {"a": 1}


def test_silence_is_ended() -> None:
    with pytest.raises(StalledError):
        run_aside(lambda beat: time.sleep(PATIENCE), 0.0)


@pytest.mark.parametrize("act", [lambda beat: os._exit(3), lambda beat: object()], ids=["dies", "no answer"])
def test_an_end_without_an_answer_is_an_error(act: Callable[[object], Any]) -> None:
    with pytest.raises(OSError, match="it could not be read"):
        run_aside(act, PATIENCE)


def test_more_than_an_answer_can_be_is_not_kept() -> None:
    with pytest.raises(OSError, match="it could not be read"):
        run_aside(lambda beat: "x" * (4 << 20), PATIENCE)


def test_it_is_the_other_user_altogether() -> None:
    """The tests are run by root."""
    reader = Reader(65534, 65533, (65532,))
    ids = run_aside(lambda beat: [*os.getresuid(), *os.getresgid(), *os.getgroups()], PATIENCE, reader)
    assert ids == [65534] * 3 + [65533] * 3 + [65532]
