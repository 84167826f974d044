"""How long a dying process waits for the crash handler, beside ``cat >/dev/null`` in its place."""

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cores import DENSE, Shape, filler
from tests.support.handler import PATTERN, bundle_of, handler_in

MiB = 1 << 20
HEADER = "| process, dense | `cat >/dev/null` as the handler | corebox | ratio | on the disk |\n|---|---|---|---|---|"
_SHAPES = (DENSE, Shape("4 GiB, no holes", 4096 * MiB, 6 * MiB, 6 * MiB))
_OPTIONS = ("--slim", "--redact", "env")
_REPEAT = 3
_LOOK = 0.001  # seconds between two looks whether the process is dying


@dataclass(frozen=True)
class Release:
    """Seconds from the beginning of the dump until the parent has the exit status."""

    what: str
    cat: float
    ours: float
    disk: int

    def markdown(self) -> str:
        """One line of the table."""
        ratio = self.ours / self.cat
        return f"| {self.what} | {self.cat:.2f} s | {self.ours:.2f} s | {ratio:.2f} | {self.disk / 1e6:.1f} MB |"


def rows(work: Path) -> Iterator[Release]:
    """The kernel's core pattern is changed meanwhile: other crashes of this machine are not kept."""
    sink = work / "sink"
    sink.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    sink.chmod(0o700)
    program = filler(work)
    for shape in _SHAPES:
        with contextlib.ExitStack() as lasting:
            with contextlib.redirect_stdout(sys.stderr):
                place = lasting.enter_context(handler_in(work / "crashes", *_OPTIONS, "--no-nice"))
            ours = PATTERN.read_text()
            cat, kept, disk = [], [], 0
            for _ in range(_REPEAT):  # in turn, so that all see the same hours
                PATTERN.write_text(f"|{sink}\n")
                cat.append(_released(program, shape)[0])
                PATTERN.write_text(ours)
                seconds, pid = _released(program, shape)
                kept.append(seconds)
                disk = bundle_of(place, pid).stat().st_size
            yield Release(shape.name, statistics.median(cat), statistics.median(kept), disk)


def _released(program: Path, shape: Shape) -> tuple[float, int]:
    command = [str(program), *map(str, (shape.size, shape.step, shape.filled)), "a"]
    with subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL) as process:
        _wait_until(lambda: "CoreDumping:\t1" in Path(f"/proc/{process.pid}/status").read_text())
        began = time.monotonic()
        process.wait()
        return time.monotonic() - began, process.pid


def _wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(_LOOK)
