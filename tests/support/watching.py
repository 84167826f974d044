"""What corebox's own processes take, those of the sandbox aside."""

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


class Taken(NamedTuple):
    """Of one process, the most memory in MB that it had at a time, and its seconds of processor time."""

    memory: int
    seconds: float


def watch(process: "subprocess.Popen[bytes]", home: Path, time_limit: float = 120) -> list[Taken]:
    """Wait for its end; what it and its children have taken that have ``home`` in their environment.

    Nothing in a sandbox has an environment of ours. Not ru_maxrss, which begins with what a process' parent had.
    """
    mark = f"COREBOX_HOME={home}\0".encode()
    taken: dict[str, Taken] = {}
    deadline = time.monotonic() + time_limit
    while process.poll() is None:
        assert time.monotonic() < deadline, "it does not end"
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, StopIteration):  # it has just ended
                if mark in (folder / "environ").read_bytes():
                    taken[folder.name] = _taken(folder)
        time.sleep(0.01)
    return list(taken.values())


def _taken(folder: Path) -> Taken:
    status = (folder / "status").read_text().splitlines()
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
    times = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
    return Taken(int(peak) >> 10, sum(map(int, times)) / _TICKS)
