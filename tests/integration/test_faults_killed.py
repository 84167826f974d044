"""SIGKILL and Ctrl-C at any moment: what was there is there, and the next run does it all."""

import os
import random
import signal
import subprocess
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
        status = _interrupted(desk, sign, moment)
        assert status in (0, -sign, 128 + sign), f"{command}, {sign.name} after {moment:.3f} s: {status}"
        desk.must_be_whole(expected)


def _interrupted(desk: Desk, sign: signal.Signals, moment: float) -> int:
    """Run the desk's command, and send it the signal after so many seconds."""
    process = subprocess.Popen(
        [*desk.lab.command, *desk.words],
        env={**os.environ, "COREBOX_HOME": str(desk.lab.home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(sign)
        return process.wait(60)
