"""Gathering, proofs and digests included, against archiving the same files with tar."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cores import HUGE, MIX, Shape, crash, crash_with_segments
from benchmarks.measure import Row, median, run

COREBOX = [sys.executable, "-m", "corebox"]
# As on a site where no libzstd is installed; the arguments are gather's.
_WITHOUT_ZSTD = """
import sys
from corebox.bundle import zstd
from corebox.gather.cli import main
zstd.load_library = lambda: None
sys.exit(main(sys.argv[1:]))
"""


def rows(work: Path) -> Iterator[Row]:
    """Each shape against `tar -S | zstd`, and against the 2011 script's `tar | bzip2`."""
    for shape in (MIX, HUGE):
        core = crash(shape, work / shape.name.replace(" ", "-"))
        yield from _compare(shape, core, work)
    yield _many_segments(work / "segments")


def _compare(shape: Shape, core: Path, work: Path) -> Iterator[Row]:
    bundle = work / "out.corebox"
    ours = median(3, lambda: run([*COREBOX, "gather", core, "-o", bundle]), lambda: bundle.unlink(missing_ok=True))
    listed = subprocess.run([*COREBOX, "gather", core, "--list"], capture_output=True, text=True, check=True).stdout
    files = [line.split(maxsplit=2)[2] for line in listed.splitlines() if line.startswith("take ")]
    names = " ".join(f"'{name}'" for name in files if name.startswith("/"))
    out = work / "out.tar"
    zstd = median(3, lambda: run(f"tar -S -cf - {core} {names} | zstd -q -f -1 -T0 -o {out}"))
    yield Row(f"gather, core of {shape.name}", ours, "`tar -S` piped to `zstd -1 -T0`", zstd)
    without: list[str | Path] = [sys.executable, "-c", _WITHOUT_ZSTD, core, "-o", bundle]
    ours_gzip = median(3, lambda: run(without), lambda: bundle.unlink(missing_ok=True))
    gzip = run(f"tar -S -cf - {core} {names} | gzip -1 > {out}")
    yield Row(f"gather without libzstd, core of {shape.name}", ours_gzip, "`tar -S` piped to `gzip -1`", gzip)
    bzip2 = run(f"tar -cjf {out} {core} {names}")
    yield Row(f"gather, core of {shape.name}", ours, "the 2011 script's `tar` with bzip2", bzip2)


def _many_segments(folder: Path) -> Row:
    core = crash_with_segments(folder)
    ours = median(3, lambda: run([*COREBOX, "info", core], statuses=(0, 1)))
    gdb = run(["gdb", "-nx", "-batch", "-ex", "info threads", "-c", core])
    return Row("tell what is in a core of 70,000 segments", ours, "gdb, opening it", gdb)
