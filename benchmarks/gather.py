"""Gathering by the one-file program, proofs and digests included, against archiving the same files with tar."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.cores import DENSE, HUGE, MIX, crash, crash_with_segments
from benchmarks.measure import Measured, Row, interleaved, median, run
from benchmarks.programs import PROGRAMS, Crash
from tests.support.programs import find_python

COREBOX = [sys.executable, "-m", "corebox"]
_VERSIONS = ("3.6", "3.13")
_REPEAT = 5  # each, in turn
# As on a site where no libzstd is installed; the arguments are gather's.
_WITHOUT_ZSTD = """
import sys
from corebox.bundle import zstd
from corebox.gather.cli import main
zstd.load_library = lambda: None
sys.exit(main(sys.argv[1:]))
"""
_COLUMNS = (
    "crash",
    "modules",
    "Python",
    "corebox",
    "its processors",
    "memory",
    "`tar -S` to `zstd -1 -T0`",
    "its processors",
    "corebox / tar",
    "ms a module above",
    "2011 script",
    "script / corebox",
)
HEADER = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|"


@dataclass(frozen=True)
class Gathering:
    """One crash gathered by one Python, beside tar with zstd and beside the script of 2011, in one run."""

    what: str
    modules: int
    python: str
    ours: Measured
    tar: Measured
    script: Measured

    def markdown(self) -> str:
        """One line of the table."""
        above = (self.ours.seconds - self.tar.seconds) / self.modules * 1000
        cells = [
            self.what,
            str(self.modules),
            self.python,
            f"{self.ours.seconds:.2f} s",
            f"{self.ours.processor:.2f} s",
            f"{self.ours.memory:.0f} MB",
            f"{self.tar.seconds:.2f} s",
            f"{self.tar.processor:.2f} s",
            f"{self.ours.seconds / self.tar.seconds:.2f}",
            f"{above:.1f}",
            f"{self.script.seconds:.2f} s",
            f"{self.script.seconds / self.ours.seconds:.1f}",
        ]
        return "| " + " | ".join(cells) + " |"


def crash_rows(work: Path) -> Iterator[Gathering]:
    """Every real program."""
    for name, make in PROGRAMS.items():
        folder = work / name.replace(" ", "-")
        folder.mkdir()
        yield from _compare(name, make(folder), work)
        shutil.rmtree(folder)


def size_rows(work: Path) -> Iterator[Gathering]:
    """Large cores of a small program."""
    for shape in (MIX, DENSE, HUGE):
        core = crash(shape, work / shape.name.replace(" ", "-"))
        yield from _compare(f"core of {shape.name}", Crash(work / "program" / "fill", core), work)


def other_rows(work: Path) -> Iterator[Row]:
    """Without libzstd, and a core whose headers are most of it."""
    core, out = crash(MIX, work / MIX.name.replace(" ", "-")), work / "out"
    without: list[str | Path] = [sys.executable, "-c", _WITHOUT_ZSTD, core, "-o", out, "--no-nice"]
    ours, gzip = interleaved(3, [partial(run, without), partial(run, f"tar -S -cf - {core} | gzip -1 > {out}")], out)
    yield Row(f"gather without libzstd, core of {MIX.name}", ours, "`tar -S` piped to `gzip -1`", gzip)
    core = crash_with_segments(work / "segments")
    told = median(3, lambda: run([*COREBOX, "info", core], statuses=(0, 1)))
    gdb = run(["gdb", "-nx", "-batch", "-ex", "info threads", "-c", core])
    yield Row("tell what is in a core of 70,000 segments", told, "gdb, opening it", gdb)


def _compare(what: str, crashed: Crash, work: Path) -> Iterator[Gathering]:
    program, out = work / "gather.pyz", work / "out"
    subprocess.run([*COREBOX, "gather", "--make-zipapp", program], check=True, stdout=subprocess.DEVNULL)
    modules, files = _content(crashed.core)
    tar = f"tar -S -cf - {crashed.core} {shlex.join(files)} | zstd -q -f -1 -T0 -o {out}"
    # With ordinary priority, as the others have.
    ours: dict[str, list[str | Path]] = {
        version: [find_python(version), program, crashed.core, "-o", out, "--no-nice"] for version in _VERSIONS
    }
    actions = [partial(run, command, statuses=(0, 1)) for command in ours.values()]
    *gathered, archived = interleaved(_REPEAT, [*actions, partial(run, tar)], out)
    linked = f"ldd {crashed.executable} | grep -o '/[^ ]*'"
    script = run(f"tar -chjf {out} {crashed.core} {crashed.executable} $({linked})")
    for version, each in zip(ours, gathered, strict=True):
        yield Gathering(what, modules, version, each, archived, script)


def _content(core: Path) -> tuple[int, list[str]]:
    """How many modules the bundle of a core has, and which files are in it."""
    command: list[str | Path] = [*COREBOX, "gather", core, "--dry-run", "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)["manifest"]
    return len(told["modules"]), [each["path"] for each in told["files"]]
