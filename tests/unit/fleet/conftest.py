"""A fleet in a folder of the test's own, with crashes whose facts the test knows."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.fleet.arrival import Labels, note_arrival
from corebox.fleet.database import Fleet, open_fleet
from corebox.fleet.facts import Facts, ModuleFact
from corebox.fleet.record import record

AddCrash = Callable[..., int]
_LABELS = Labels("acme", "ordersd", "1.0")


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """An empty one, in SQLite."""
    monkeypatch.setenv("COREBOX_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COREBOX_FLEET", raising=False)
    return open_fleet()


@pytest.fixture
def add(fleet: Fleet) -> AddCrash:
    """Adds a crash that has been reported; what is not given is the same for all."""
    numbers = iter(range(1, 1000))

    def add_one(labels: Labels = _LABELS, identity: str = "", **changes: object) -> int:
        number = next(numbers)
        facts = Facts(
            identity=identity or f"{number:064x}",
            crashed=1_700_000_000 + number,
            signal="SIGSEGV",
            cause="Null pointer dereference",
            program="ordersd",
            system="Debian GNU/Linux 12 (bookworm)",
            family="null-dereference in copy_order",
            signature="SIGSEGV null-dereference in copy_order < main",
            functions=("memcpy", "copy_order", "main"),
            modules=(ModuleFact("libc.so.6", "c0ffee", "glibc 2.36"), ModuleFact("ordersd", "beef01", "")),
        )
        received = note_arrival(fleet, hashlib.sha256(b"%d" % number).digest(), 1000, labels)
        record(fleet, received.crash, facts._replace(**changes))  # type: ignore[arg-type]
        return received.crash

    return add_one
