"""The kernel's crash handler of corebox, turned on for a while."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corebox.gather.cli import main

PATTERN = Path("/proc/sys/kernel/core_pattern")
PIPE_LIMIT = Path("/proc/sys/kernel/core_pipe_limit")
_PATIENCE = 120  # seconds


@contextmanager
def handler_in(place: Path, *options: str) -> Iterator[Path]:
    """The folder of a handler that the kernel calls for each crash."""
    assert main(["--install-handler", str(place), "--keep-free", "64M", *options]) == 0
    before = PATTERN.read_text(), PIPE_LIMIT.read_text()
    PATTERN.write_text(f"|{place}/corebox-handler %P %t %u %F %E\n")
    PIPE_LIMIT.write_text("0")
    try:
        yield place
    finally:
        PATTERN.write_text(before[0])
        PIPE_LIMIT.write_text(before[1])


def log_of(place: Path) -> list[str]:
    """The lines of the log, without their times."""
    log = place / "handler.log"
    return [line.partition(" ")[2] for line in log.read_text().splitlines()] if log.exists() else []


def outcomes(place: Path, *pids: int) -> dict[int, str]:
    """What became of the crashes of these processes; waits until the log says it of all of them.

    The kernel does not wait for the handler to end.
    """
    found: dict[int, str] = {}
    for _ in range(_PATIENCE * 10):
        for line in log_of(place):
            head, _, text = line.partition("): ")
            process = head.partition(" (process ")[2].partition(",")[0]
            if process.isdigit() and int(process) in pids:
                found[int(process)] = text
        if len(found) == len(pids):
            return found
        time.sleep(0.1)
    raise AssertionError(f"no line of {set(pids) - set(found)} in {log_of(place)[-20:]}")


def crash(*command: object, user: int | None = None) -> int:
    """Run it until a signal ends it, and return its process ID."""
    words = [str(word) for word in command]
    died = subprocess.Popen(words, cwd="/", stdout=subprocess.DEVNULL, user=user, group=user)
    assert died.wait() < 0
    return died.pid


def bundle_of(place: Path, pid: int) -> Path:
    """The bundle that the handler has made of the crash."""
    said = outcomes(place, pid)[pid]
    (bundle,) = place.glob(f"*-{pid}-*.corebox")
    assert said.startswith(bundle.name), said
    return bundle
