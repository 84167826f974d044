"""SIGKILL and Ctrl-C at any moment: what was there is there, and the next run does it all."""

import os
import random
import signal
import subprocess
import tempfile
import time

import pytest

from tests.support.aftermath import Desk, tries
from tests.support.bench import COMMANDS, Bench


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT], ids=lambda sign: sign.name)
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_any_moment(bench: Bench, command: str, sign: signal.Signals) -> None:
    expected = bench.outcome(command)
    desk = bench.lay(command)
    began = time.monotonic()
    desk.run()
    duration = time.monotonic() - began
    chance = random.Random(f"{command} {sign.name}")
    for _ in range(tries(4)):
        desk = bench.lay(command)
        moment = chance.triangular(0.1, 1, 0.9) * duration  # a third of it is Python's own beginning
        status, errors = _interrupted(desk, sign, moment)
        allowed = (0, -sign, 128 + sign, *([1] if "Could not import runpy" in errors else []))  # Python's own beginning
        assert status in allowed, f"{command}, {sign.name} after {moment:.3f} s: {status}\n{errors}"
        assert status != 128 + sign or errors.splitlines()[-1].startswith(
            ("interrupted; no partial", "interrupted; no partial files were left behind")
        ), errors
        desk.must_be_whole(expected)


def _interrupted(desk: Desk, sign: signal.Signals, moment: float) -> tuple[int, str]:
    """Run the desk's command, send it the signal after so many seconds, and return its status and what it said."""
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(
            [*desk.lab.command, *desk.words],
            env={**os.environ, "COREBOX_HOME": str(desk.lab.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(sign)
            process.wait(60)
        said.seek(0)
        return process.returncode, said.read()
