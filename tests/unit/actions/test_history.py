"""What comes out of the sandbox as history is lines of text, and only on the crash that it was typed on."""

import os
from pathlib import Path

import pytest

from corebox.actions.history import lent_history
from corebox.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def session(store: Store, identity: str, written: bytes | None) -> list[str]:
    """The commands that a session begins with; it ends by writing ``written`` into the pipe."""
    with store.workplace() as work, lent_history(store, identity, work) as provision:
        past, pipe = provision.mounts
        known = past.source.read_text().splitlines()
        if written is not None:
            end = os.open(pipe.source, os.O_WRONLY | os.O_NONBLOCK)
            os.write(end, written)
            os.close(end)
    return known


def test_what_was_typed_comes_back_on_the_same_crash_alone(store: Store) -> None:
    assert session(store, "sha256:a", b"bt\ninfo threads\n") == []
    assert session(store, "sha256:b", None) == []
    assert session(store, "sha256:a", None) == ["bt", "info threads"]


def test_a_session_that_hands_out_nothing_forgets_nothing(store: Store) -> None:
    session(store, "sha256:a", b"bt\n")
    session(store, "sha256:a", None)
    assert session(store, "sha256:a", None) == ["bt"]


def test_what_is_no_command_is_dropped(store: Store) -> None:
    hostile = b"\x1b[2J\n\xff\xfe\x00\nplain\n" + "\u202eleft\n".encode() + b"x" * 5000 + b"\n\n"
    session(store, "sha256:a", hostile)
    assert session(store, "sha256:a", None) == ["plain"]


def test_the_number_of_commands_is_bounded(store: Store) -> None:
    session(store, "sha256:a", b"".join(b"p %d\n" % number for number in range(5000)))
    known = session(store, "sha256:a", None)
    assert (len(known), known[-1]) == (1000, "p 4999")


def test_a_note_that_somebody_changed_is_no_trap(store: Store) -> None:
    store.remember("history", "sha256:a", {"commands": [1, "bt", None, "\x1b[2J"]})
    assert session(store, "sha256:a", None) == ["bt"]
    store.remember("history", "sha256:a", {"commands": 7})
    assert session(store, "sha256:a", None) == []
