"""Measure: ``python -m benchmarks.corpus [SYMBOLS...]``, as root; the whole takes half an hour, "part" two minutes."""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.corpus import crashes, plan
from benchmarks.corpus.score import Score, score
from tests.support.lab import Lab


class Row(NamedTuple):
    """A line of the table: what the program has, where, and which crashes these are."""

    symbols: str
    system: str = "Debian"
    sites: tuple[str, ...] = plan.DEBIAN
    levels: tuple[str, ...] = plan.LEVELS


ROWS = {
    "debug": (
        Row("debug information"),
        Row("debug information", "Debian and musl", (*plan.DEBIAN, plan.MUSL)),
    ),
    "separate": (Row("nothing, and its debug file is given (`--symbols`)"),),
    "names": (
        Row("names of functions only (`strip -g`), not optimised", levels=("-O0",)),
        Row("the same, optimised", levels=("-O2",)),
        Row("the same, both together"),
    ),
    "stripped": (Row("nothing"),),
    "part": (Row("debug information, a part"),),
}
_HEADING = """\
| the program has | on | crashes | bugs | groups by family | precision | recall | by signature | precision | recall |
|---|---|---|---|---|---|---|---|---|---|"""


def measure(cases: list[plan.Case], lab: Lab, out: Path) -> tuple[dict[str, plan.Case], Any]:
    """Make the crashes and group them: the case of each file, and the groups that ``similar`` tells."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        made = crashes.make(cases, out)
    options = ["--symbols", out / "symbols"] if cases[0].symbols == "separate" else []
    said = lab.corebox("similar", "--engine", "bubblewrap", "--json", *options, *made, timeout=7200)
    assert said.status == 0, said.errors
    return made, said.json["groups"]


def scores(made: dict[str, plan.Case], groups: Any) -> dict[str, Score]:
    """How well the crashes of ``made`` are grouped, whatever others the groups have."""
    truth = {name: case.bug for name, case in made.items()}
    signatures = [each["names"] for group in groups for each in group["signatures"]]
    levels = {"family": [group["names"] for group in groups], "signature": signatures}
    known = {level: [[name for name in names if name in truth] for names in found] for level, found in levels.items()}
    return {level: score(filter(None, found), truth) for level, found in known.items()}


def _line(row: Row, made: dict[str, plan.Case], groups: Any) -> str:
    here = {path: case for path, case in made.items() if case.site in row.sites and case.level in row.levels}
    found = scores(here, groups).values()
    figures = " | ".join(f"{each.groups} | {each.precision:.3f} | {each.recall:.3f}" for each in found)
    return f"| {row.symbols} | {row.system} | {len(here)} | {len({case.bug for case in here.values()})} | {figures} |"


def main(words: list[str]) -> None:
    """Print a table, and to the standard error how the crashes were grouped."""
    print(_HEADING)
    for name in words or plan.SYMBOLS:
        cases = plan.part() if name == "part" else plan.whole(name)
        with tempfile.TemporaryDirectory() as folder:
            made, groups = measure(cases, Lab(Path(folder) / "home"), Path(folder))
        for row in ROWS[name]:
            print(_line(row, made, groups), flush=True)
        told = [{**group, "names": sorted(made[each].name for each in group["names"])} for group in groups]
        json.dump(told, sys.stderr, indent=1)


if __name__ == "__main__":
    main(sys.argv[1:])
