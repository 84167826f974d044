"""Gathering, proofs and digests included, against archiving the same files with tar."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cores import HUGE, MIX, Shape, crash
from benchmarks.measure import Row, median, run

COREBOX = [sys.executable, "-m", "corebox"]


def rows(work: Path) -> Iterator[Row]:
    """Each shape against `tar -S | zstd`, and against the 2011 script's `tar | bzip2`."""
    for shape in (MIX, HUGE):
        core = crash(shape, work / shape.name.replace(" ", "-"))
        yield from _compare(shape, core, work)


def _compare(shape: Shape, core: Path, work: Path) -> Iterator[Row]:
    bundle = work / "out.corebox"
    ours = median(3, lambda: run([*COREBOX, "gather", core, "-o", bundle]), lambda: bundle.unlink(missing_ok=True))
    listed = subprocess.run([*COREBOX, "gather", core, "--list"], capture_output=True, text=True, check=True).stdout
    files = [line.split(maxsplit=2)[2] for line in listed.splitlines() if line.startswith("take ")]
    names = " ".join(f"'{name}'" for name in files if name.startswith("/"))
    out = work / "out.tar"
    zstd = median(3, lambda: run(f"tar -S -cf - {core} {names} | zstd -q -f -1 -T0 -o {out}"))
    yield Row(f"gather, core of {shape.name}", ours, "`tar -S` piped to `zstd -1 -T0`", zstd)
    bzip2 = run(f"tar -cjf {out} {core} {names}")
    yield Row(f"gather, core of {shape.name}", ours, "the 2011 script's `tar` with bzip2", bzip2)
