"""Measure: ``python -m benchmarks.corpus [SYMBOLS...]``, as root; the whole takes about an hour, "part" two minutes."""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.corpus import crashes, plan
from benchmarks.corpus.score import Score, score
from tests.support.lab import Lab


def measure(cases: list[plan.Case], lab: Lab, out: Path) -> tuple[dict[str, Score], Any]:
    """The score by family and by signature, and the groups by family with the truth in place of the files' names."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        made = crashes.make(cases, out)
    options = ["--symbols", out / "symbols"] if cases[0].symbols == "separate" else []
    said = lab.corebox("similar", "--engine", "bubblewrap", "--json", *options, *made, timeout=7200)
    assert said.status == 0, said.errors
    truth = {name: case.bug for name, case in made.items()}
    groups = said.json["groups"]
    signatures = [each["names"] for group in groups for each in group["signatures"]]
    scores = {"family": score([group["names"] for group in groups], truth), "signature": score(signatures, truth)}
    return scores, [{**group, "names": sorted(made[name].name for name in group["names"])} for group in groups]


def main(words: list[str]) -> None:
    """Print a table, and to the standard error what was grouped wrongly."""
    print("| symbols | crashes | bugs | by | groups | precision | recall |\n|---|---|---|---|---|---|---|")
    for name in words or plan.SYMBOLS:
        cases = plan.part() if name == "part" else plan.whole(name)
        with tempfile.TemporaryDirectory() as folder:
            scores, groups = measure(cases, Lab(Path(folder) / "home"), Path(folder))
        size = f"{name} | {len(cases)} | {len({case.bug for case in cases})}"
        for level, found in scores.items():
            figures = f"{found.groups} | {found.precision:.3f} | {found.recall:.3f}"
            print(f"| {size} | {level} | {figures} |", flush=True)
        json.dump(groups, sys.stderr, indent=1)


if __name__ == "__main__":
    main(sys.argv[1:])
