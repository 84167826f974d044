"""Fuzz a target, guided by coverage: ``python -m tests.fuzz TARGET --seconds 600``.

Prints inputs tried, code points reached, and whether all went well. What goes wrong is kept as ``crash-*``,
``timeout-*`` or ``oom-*`` in the folder ``--keep``; once mended it belongs in ``tests/fuzz/found/TARGET``.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import MEMORY, SECONDS, TARGETS

#: In the process that fuzzes: the modules that are to guide it are instrumented while they are imported.
FUZZ = """
import sys
import atheris
with atheris.instrument_imports(include=["corebox"]):
    from tests.fuzz.targets import TARGETS
atheris.Setup(sys.argv[1:], TARGETS[sys.argv[1]])
atheris.Fuzz()
"""
REACHED = re.compile(r"^#(\d+)\s.* cov: (\d+) ft: (\d+)", re.MULTILINE)


def fuzz(target: str, limit: list[str], keep: Path) -> int:
    """Fuzz, print the line of the table, and return the fuzzer's exit status."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder, "seeds")
        seeds.mkdir()
        for number, data in enumerate(seeds_of(target)):
            (seeds / str(number)).write_bytes(data)
        options = [f"-timeout={SECONDS}", f"-rss_limit_mb={MEMORY >> 20}", f"-artifact_prefix={keep}/", *limit]
        command = [sys.executable, "-c", FUZZ, target, *options, str(seeds)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    reached = REACHED.findall(done.stderr)
    if done.returncode or not reached:
        print(done.stderr[-3000:])
    tried, coverage, features = reached[-1] if reached else (0, 0, 0)
    result = "nothing" if not done.returncode else "a defect"
    print(f"{target}: {tried} inputs, {coverage} code points, {features} features, found {result}", flush=True)
    return done.returncode


def main() -> int:
    """Read the command line and fuzz."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, help="how long (default: until interrupted)")
    parser.add_argument("--inputs", type=int, help="how many, with a fixed seed")
    parser.add_argument("--keep", type=Path, default=Path(), help="where to keep what goes wrong")
    given = parser.parse_args()
    limit = [f"-max_total_time={given.seconds}"] if given.seconds else []
    limit += [f"-runs={given.inputs}", "-seed=1"] if given.inputs else []
    return fuzz(given.target, limit, given.keep)


if __name__ == "__main__":
    sys.exit(main())
