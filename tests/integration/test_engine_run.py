"""Batch runs in the sandbox: output, status, and an end to all of it."""

from pathlib import Path

import pytest

from corebox.engine.batch import MAX_OUTPUT
from corebox.engine.choose import choose_engine
from corebox.engine.sandbox import Limits, Sandbox
from corebox.errors import HostError


@pytest.fixture
def root() -> Sandbox:
    """This machine's own files, read-only, as if they were a customer's."""
    return Sandbox(Path("/"), environment={"PATH": "/usr/bin:/bin"})


def test_output_errors_and_status_come_back(any_engine: str, root: Sandbox) -> None:
    done = choose_engine(any_engine).run(root, ["sh", "-c", "echo out; echo err >&2; exit 7"], 60)
    assert (done.status, done.output, done.errors) == (7, b"out\n", b"err\n")


def test_a_command_that_does_not_end_is_stopped(any_engine: str, root: Sandbox) -> None:
    with pytest.raises(HostError) as caught:
        choose_engine(any_engine).run(root, ["sleep", "1000"], 1)
    assert caught.value.code == "time-limit"


def test_who_fills_the_memory_is_stopped(engine: str, root: Sandbox) -> None:
    script = "filled = [b'%d' % number * (1 << 18) for number in range(1024)]"
    narrow = root._replace(limits=Limits(memory=256 << 20))
    assert choose_engine(engine).run(narrow, ["python3", "-c", script], 60).status != 0
    assert choose_engine(engine).run(root, ["python3", "-c", script], 60).status == 0


def test_a_command_that_writes_for_ever_is_stopped(engine: str, root: Sandbox) -> None:
    done = choose_engine(engine).run(root, ["yes"], 60)
    assert done.status != 0
    assert len(done.output) == MAX_OUTPUT
