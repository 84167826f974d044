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
from corebox.files import zstd
from corebox.gather.cli import main
zstd.load_library = lambda: None
sys.exit(main(sys.argv[1:]))
"""
_COLUMNS = (
    "crash",
    "modules",
    "Python",
    "corebox",
    "memory",
    "`tar -S` to `zstd -1 -T0`",
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
    script: Measured | None

    def markdown(self) -> str:
        """One line of the table: of each figure the time by the clock, and in brackets that of all processors."""
        ours, tar, script = self.ours, self.tar, self.script
        cells = [
            self.what,
            str(self.modules),
            self.python,
            _pair(ours.seconds, ours.processor, " s", 2),
            f"{ours.memory:.0f} MB",
            _pair(tar.seconds, tar.processor, " s", 2),
            _pair(ours.seconds / tar.seconds, ours.processor / tar.processor, "", 2),
            _pair(self._above(ours.seconds, tar.seconds), self._above(ours.processor, tar.processor), "", 1),
            _pair(script.seconds, script.processor, " s", 2) if script else "",
            _pair(script.seconds / ours.seconds, script.processor / ours.processor, "", 1) if script else "",
        ]
        return "| " + " | ".join(cells) + " |"

    def _above(self, ours: float, theirs: float) -> float:
        return (ours - theirs) / self.modules * 1000


def _pair(clock: float, processors: float, unit: str, digits: int) -> str:
    return f"{clock:.{digits}f}{unit} ({processors:.{digits}f})"


def crash_rows(work: Path) -> Iterator[Gathering]:
    """Every real program."""
    for name, make in PROGRAMS.items():
        folder = work / name.replace(" ", "-")
        folder.mkdir()
        yield from _compare(name, make(folder), work)
        shutil.rmtree(folder)


def size_rows(work: Path) -> Iterator[Gathering]:
    """Large cores of a small program; the script, which takes many minutes of those, is given one of them."""
    for shape in (MIX, DENSE, HUGE):
        core = crash(shape, work / shape.name.replace(" ", "-"))
        yield from _compare(f"core of {shape.name}", Crash(work / "program" / "fill", core), work, shape == MIX)


def other_rows(work: Path) -> Iterator[Row]:
    """The start alone, gathering without libzstd, and a core whose headers are most of it."""
    program = _program(work)
    for version in _VERSIONS:
        python = find_python(version)
        commands: list[list[str | Path]] = [[python, program, "--version"], [python, "-c", "pass"]]
        start, bare = interleaved(20, [partial(run, command) for command in commands])
        yield Row(f"`corebox-gather.pyz --version`, Python {version}", start, "`-c pass`", bare)
    core, out = crash(MIX, work / MIX.name.replace(" ", "-")), work / "out"
    without: list[str | Path] = [sys.executable, "-c", _WITHOUT_ZSTD, core, "-o", out, "--no-nice"]
    ours, gzip = interleaved(3, [partial(run, without), partial(run, f"tar -S -cf - {core} | gzip -1 > {out}")], out)
    yield Row(f"gather without libzstd, core of {MIX.name}", ours, "`tar -S` piped to `gzip -1`", gzip)
    core = crash_with_segments(work / "segments")
    told = median(3, lambda: run([*COREBOX, "info", core], statuses=(0, 1)))
    gdb = run(["gdb", "-nx", "-batch", "-ex", "info threads", "-c", core])
    yield Row("tell what is in a core of 70,000 segments", told, "gdb, opening it", gdb)


def _compare(what: str, crashed: Crash, work: Path, with_script: bool = True) -> Iterator[Gathering]:
    program, out = _program(work), work / "out"
    modules, files = _content(crashed.core)
    tar = f"tar -S -cf - {crashed.core} {shlex.join(files)} | zstd -q -f -1 -T0 -o {out}"
    # With ordinary priority, as the others have.
    ours: dict[str, list[str | Path]] = {
        version: [find_python(version), program, crashed.core, "-o", out, "--no-nice"] for version in _VERSIONS
    }
    actions = [partial(run, command, statuses=(0, 1)) for command in ours.values()]
    *gathered, archived = interleaved(_REPEAT, [*actions, partial(run, tar)], out)
    linked = f"ldd {crashed.executable} | grep -o '/[^ ]*'"
    script = run(f"tar -chjf {out} {crashed.core} {crashed.executable} $({linked})") if with_script else None
    for version, each in zip(ours, gathered, strict=True):
        yield Gathering(what, modules, version, each, archived, script)


def _program(work: Path) -> Path:
    program = work / "gather.pyz"
    if not program.exists():
        subprocess.run([*COREBOX, "gather", "--make-zipapp", program], check=True, stdout=subprocess.DEVNULL)
    return program


def _content(core: Path) -> tuple[int, list[str]]:
    """How many modules the bundle of a core has, and which files are in it."""
    command: list[str | Path] = [*COREBOX, "gather", core, "--dry-run", "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)["manifest"]
    return len(told["modules"]), [each["path"] for each in told["files"]]
