"""The work on one machine: without any, beside another's, and with a crash whose bundle cannot be read."""

import os
from pathlib import Path

import pytest

from corebox.errors import HostError
from corebox.fleet import questions, work
from corebox.fleet.arrival import Labels, note_arrival
from corebox.fleet.database import Fleet
from corebox.fleet.reporting import Outcome, WorkOptions
from corebox.store.files import try_lock


@pytest.fixture(autouse=True)
def no_toolbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done here needs no gdb."""
    monkeypatch.setattr(work, "ensure_toolbox", lambda _: None)


def test_without_work_it_ends_and_leaves_no_lock(fleet: Fleet) -> None:
    work.work(fleet, WorkOptions(until_idle=True))
    lock = try_lock(fleet.folder / "work.lock")
    assert lock is not None
    os.close(lock)


def test_two_do_not_work_at_once(fleet: Fleet) -> None:
    lock = try_lock(fleet.folder / "work.lock")
    assert lock is not None
    with pytest.raises(HostError) as caught:
        work.work(fleet, WorkOptions(until_idle=True))
    os.close(lock)
    assert caught.value.code == "fleet-busy"


def test_a_process_of_its_own_tells_what_is_wrong_with_a_bundle(fleet: Fleet) -> None:
    crash = note_arrival(fleet, b"d" * 32, 1000, Labels("acme")).crash
    outcomes: list[Outcome] = []
    work.work(fleet, WorkOptions(until_idle=True), outcomes.append)
    (outcome,) = outcomes
    assert outcome.error is not None
    assert questions.status(fleet).failures == {outcome.error.code: 1}
    assert (questions.show(fleet, crash).failure, outcome.crash) == (outcome.error.message, crash)
    assert not Path(fleet.folder / "reports").exists()
