"""Time and peak memory of a command, and the table that sets them side by side."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """Seconds, and the peak resident memory in MB of the command and its largest child."""

    seconds: float
    memory: float


def run(
    command: Sequence[str | Path] | str, env: Mapping[str, str] | None = None, statuses: Sequence[int] = (0,)
) -> Measured:
    """Run a command, by the shell if it is a string, and measure it."""
    began = time.monotonic()
    with subprocess.Popen(
        command,
        shell=isinstance(command, str),
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        errors = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in statuses, f"{command}: {errors.decode(errors='replace')}"
    return Measured(time.monotonic() - began, usage.ru_maxrss / 1000)


def median(repeat: int, action: Callable[[], Measured], before: Callable[[], object] = lambda: None) -> Measured:
    """The median time of ``repeat`` runs, and the highest memory; ``before`` prepares each run untimed."""
    results = []
    for _ in range(repeat):
        before()
        results.append(action())
    return Measured(statistics.median(each.seconds for each in results), max(each.memory for each in results))


@dataclass(frozen=True)
class Row:
    """What was done, how it is called, and what it is compared with."""

    what: str
    ours: Measured
    instead: str
    theirs: Measured

    def markdown(self) -> str:
        """One line of the table."""
        ratio = self.theirs.seconds / self.ours.seconds
        cells = [
            self.what,
            f"{self.ours.seconds:.2f} s",
            f"{self.ours.memory:.0f} MB",
            self.instead,
            f"{self.theirs.seconds:.2f} s",
            f"{ratio:.1f}",
        ]
        return "| " + " | ".join(cells) + " |"


HEADER = "| what | corebox | memory | instead | takes | ratio |\n|---|---|---|---|---|---|"
