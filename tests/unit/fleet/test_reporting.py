"""What becomes of a crash whose report is made, cannot be made, or is begun by workers that die."""

from pathlib import Path

import pytest

from corebox.errors import CoreboxError, HostError, InputError
from corebox.fleet import questions
from corebox.fleet.arrival import Labels, note_arrival
from corebox.fleet.database import Fleet
from corebox.fleet.examine import Question
from corebox.fleet.facts import Facts
from corebox.fleet.reporting import MAX_ATTEMPTS, WorkOptions, report_one, report_path, waiting_crashes

FACTS = Facts("ab" * 32, 1_700_000_000, "SIGSEGV", "cause", "ordersd", "Debian", "family", "signature", ("main",), ())


class Examined:
    """Answers with facts or with an error, and keeps what it was asked."""

    def __init__(self, answer: Facts | CoreboxError) -> None:
        self.answer = answer
        self.asked: list[Question] = []

    def facts(self, question: Question) -> Facts:
        self.asked.append(question)
        if isinstance(self.answer, CoreboxError):
            raise self.answer
        return self.answer


@pytest.fixture
def crash(fleet: Fleet) -> int:
    """One that waits."""
    return note_arrival(fleet, b"d" * 32, 1000, Labels("acme")).crash


def report(fleet: Fleet, answer: Facts | CoreboxError) -> tuple[CoreboxError | None, Examined]:
    (waiting,) = waiting_crashes(fleet)
    examined = Examined(answer)
    return report_one(fleet, examined, WorkOptions(time_limit=7), waiting).error, examined  # type: ignore[arg-type]


def test_a_report_is_made_once(fleet: Fleet, crash: int) -> None:
    error, examined = report(fleet, FACTS)
    assert error is None
    (question,) = examined.asked
    assert (question.out, question.time_limit) == (report_path(fleet, crash), 7)
    assert question.bundle == fleet.folder / "bundles" / "64" / f"{'64' * 32}.corebox"
    assert waiting_crashes(fleet) == []
    assert questions.show(fleet, crash).row.family == "family"


@pytest.mark.parametrize(
    "error", [InputError("no-answer", "gdb found nothing", "look"), HostError("time-limit", "too long", "more")]
)
def test_what_is_the_crashs_own_fault_is_noted(fleet: Fleet, crash: int, error: CoreboxError) -> None:
    assert report(fleet, error)[0] is error
    assert waiting_crashes(fleet) == []
    assert (questions.show(fleet, crash).failure, questions.status(fleet).failures) == (error.message, {error.code: 1})


def test_what_is_the_machines_fault_leaves_it_waiting(fleet: Fleet, crash: int) -> None:
    for _ in range(MAX_ATTEMPTS + 1):
        with pytest.raises(HostError, match="no engine"):
            report(fleet, HostError("no-engine", "no engine", "install one"))
    (waiting,) = waiting_crashes(fleet)
    assert (waiting.crash, waiting.attempts) == (crash, 0)


def test_what_kills_its_workers_is_set_aside(fleet: Fleet, crash: int) -> None:
    died = HostError("worker-died", "the process was killed", "again")
    for attempts in range(1, MAX_ATTEMPTS + 1):
        assert report(fleet, died)[0] is died
        assert waiting_crashes(fleet)[0].attempts == attempts
    error, examined = report(fleet, FACTS)
    assert error
    assert (error.code, examined.asked) == ("worker-died", [])
    assert "set aside" in (questions.show(fleet, crash).failure or "")


def test_what_was_forgotten_meanwhile_is_no_error(fleet: Fleet, crash: int, tmp_path: Path) -> None:
    from corebox.fleet.retention import forget_customer

    (waiting,) = waiting_crashes(fleet)
    forget_customer(fleet, "acme")
    assert report_one(fleet, Examined(FACTS), WorkOptions(), waiting).error is None  # type: ignore[arg-type]
    assert questions.find(fleet) == []
