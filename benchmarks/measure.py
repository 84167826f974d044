"""Time, peak memory and disk of a command, and the table that sets them side by side."""

import os
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

_SAMPLED = 0.05  # seconds between two looks at the disk


@dataclass(frozen=True)
class Measured:
    """Seconds; peak resident MB of the command and its largest child; peak growth of the watched disk in GB.

    ``processor`` is user and system time together, which another's work on the same machine changes little.
    """

    seconds: float
    memory: float
    disk: float = 0.0
    processor: float = 0.0


def run(
    command: Sequence[str | Path] | str,
    env: Mapping[str, str] | None = None,
    statuses: Sequence[int] = (0,),
    disk: Path | None = None,
) -> Measured:
    """Run a command, by the shell if it is a string, and measure it and the file system of ``disk``.

    What earlier commands left in the page cache is written before: where a server waits for its own data to reach the
    disk, as registries do, ext4 has it wait for theirs too.
    """
    os.sync()
    with _growth(disk) as growth:
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
        seconds = time.monotonic() - began
    assert process.returncode in statuses, f"{command}: {errors.decode(errors='replace')}"
    return Measured(seconds, usage.ru_maxrss / 1000, max(growth) / 1e9, usage.ru_utime + usage.ru_stime)


@contextmanager
def _growth(disk: Path | None) -> Iterator[list[int]]:
    """Bytes that the file system has more than at the beginning, sampled as long as the block lasts."""
    growth = [0]
    if disk is None:
        yield growth
        return
    ended = threading.Event()
    before = shutil.disk_usage(disk).used

    def watch() -> None:
        while not ended.wait(_SAMPLED):
            growth.append(shutil.disk_usage(disk).used - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield growth
    finally:
        ended.set()
        watcher.join()
        growth.append(shutil.disk_usage(disk).used - before)


def median(repeat: int, action: Callable[[], Measured], before: Callable[[], object] = lambda: None) -> Measured:
    """The ``middle`` of ``repeat`` runs; ``before`` prepares each run untimed."""
    results = []
    for _ in range(repeat):
        before()
        results.append(action())
    return middle(results)


def interleaved(repeat: int, actions: Sequence[Callable[[], Measured]], out: Path | None = None) -> list[Measured]:
    """The middle of each action's runs, which take turns, so that all see the same hours; ``out`` goes before each."""
    results: list[list[Measured]] = [[] for _ in actions]
    for _ in range(repeat):
        for each, action in zip(results, actions, strict=True):
            if out:
                out.unlink(missing_ok=True)
            each.append(action())
    return [middle(each) for each in results]


def middle(results: Sequence[Measured]) -> Measured:
    """The run of median time, with the highest memory of all."""
    seconds = statistics.median_low([each.seconds for each in results])
    chosen = next(each for each in results if each.seconds == seconds)
    return replace(chosen, memory=max(each.memory for each in results))


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
            f"{self.ours.seconds:.2f} s{_disk(self.ours)}",
            f"{self.ours.memory:.0f} MB",
            self.instead,
            f"{self.theirs.seconds:.2f} s{_disk(self.theirs)}",
            f"{ratio:.1f}",
        ]
        return "| " + " | ".join(cells) + " |"


def _disk(measured: Measured) -> str:
    return f", {measured.disk:.1f} GB of disk" if measured.disk else ""


HEADER = "| what | corebox | memory | instead | takes | ratio |\n|---|---|---|---|---|---|"


def require_disk(folder: Path, gigabytes: float) -> None:
    """End the benchmark, in words, where it would fill the disk."""
    free = shutil.disk_usage(folder).free / 1e9
    assert free > gigabytes, f"{gigabytes:.0f} GB of disk are needed at {folder}, {free:.0f} are free: set TMPDIR"


def quiet(*command: str) -> None:
    """Run a command whose failure does not matter."""
    subprocess.run(command, capture_output=True, check=False)
