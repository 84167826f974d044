"""Measure: ``python -m benchmarks.fleet [CRASHES...]``: SQLite, and PostgreSQL where it is installed."""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.fleet import rows
from corebox.fleet import questions, trends
from corebox.fleet.arrival import Labels, note_arrival
from corebox.fleet.database import Fleet, open_fleet
from corebox.fleet.questions import Filter
from tests.support.postgresql import running_cluster

_ROUNDS, _ARRIVALS = 20, 500
_WEEK = rows.NOW - 7 * 86400


def asked(fleet: Fleet, chance: random.Random) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each question, of something else each time."""
    function = chance.randint(1, rows.FUNCTIONS)
    name = f"project::part_{function % 97}::function_{function}"
    module = chance.randint(1, 400)
    release = f"{chance.randint(1, 3)}.{chance.randint(1, 8)}"
    family = min(int(chance.paretovariate(0.6)), 10)
    product = f"product{chance.randrange(rows.PRODUCTS)}"
    yield "`top`", lambda: questions.top(fleet)
    yield "`top --since 7d`", lambda: questions.top(fleet, Filter(since=_WEEK))
    yield "`top --customer --release`", lambda: questions.top(fleet, Filter(customer="customer 3", release=release))
    yield "`find --function NAME`", lambda: questions.find(fleet, Filter(function=name))
    yield "`find --function 'NAME*'`", lambda: questions.find(fleet, Filter(function=name[:-2] + "*"))
    yield "`find --module --release`", lambda: questions.find(fleet, Filter(module=f"lib{module}*", release=release))
    yield "`find --package`", lambda: questions.find(fleet, Filter(package=f"lib{module} 1*"))
    yield "`find --text`", lambda: questions.find(fleet, Filter(text=f"offset {chance.randrange(64)}"))
    yield "`find --family`", lambda: questions.find(fleet, Filter(family=str(family)))
    yield "`find --release 1.2..1.5`", lambda: questions.find(fleet, Filter(release="1.2..1.5"))
    yield "`show`", lambda: questions.show(fleet, chance.randint(1, 1000))
    yield "`status`", lambda: questions.status(fleet)
    for by in trends.BY:
        yield f"`count --by {by}`", partial(trends.counts, fleet, by)
    yield "`changes`", lambda: trends.changes(fleet, product, release)
    yield "`apart`", lambda: trends.apart(fleet, family)
    yield "the overview's lines", lambda: trends.daily(fleet, Filter(since=rows.NOW - 30 * 86400))


def measure(fleet: Fleet, crashes: int) -> dict[str, float]:
    """Milliseconds that 95 % of the answers take at most; arrivals a second.

    SQLite answers in this process, whose processor time others' work on the machine hardly changes.
    """
    clock = time.process_time if fleet.engine.dialect.name == "sqlite" else time.perf_counter
    rows.fill(fleet, crashes)
    chance = random.Random(1)  # not for secrets
    times: dict[str, list[float]] = {}
    for _ in range(_ROUNDS):
        for name, question in asked(fleet, chance):
            started = clock()
            question()
            times.setdefault(name, []).append((clock() - started) * 1000)
    found = {name: statistics.quantiles(each, n=20)[-1] for name, each in times.items()}
    started = time.perf_counter()
    for number in range(_ARRIVALS):
        note_arrival(fleet, b"%032d" % number, 1000, Labels("customer 1", "product0", "3.9"))
    return {**found, "rows of arrivals a second": _ARRIVALS / (time.perf_counter() - started)}


def _on_sqlite(crashes: int, folder: Path) -> dict[str, float]:
    path = folder / f"{crashes}.db"
    fleet = open_fleet(f"sqlite:///{path}")
    found = measure(fleet, crashes)
    fleet.engine.dispose()
    return {**found, "bytes a crash": path.stat().st_size / crashes}


def _on_postgresql(crashes: int) -> dict[str, float]:
    with running_cluster() as cluster:
        url = cluster.new_database()
        fleet = open_fleet(url)
        found = measure(fleet, crashes)
        fleet.engine.dispose()
        size = int(cluster.ask(url, "SELECT pg_database_size(current_database())"))
    return {**found, "bytes a crash": size / crashes}


def main(words: list[str]) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        columns = {}
        for crashes in map(int, words or ["10000", "100000"]):
            columns[f"SQLite, {crashes:,}"] = _on_sqlite(crashes, Path(folder))
            print(columns, file=sys.stderr)
            if any(Path("/usr/lib/postgresql").glob("*/bin")):
                columns[f"PostgreSQL, {crashes:,}"] = _on_postgresql(crashes)
    print("| question | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name in next(iter(columns.values())):
        print(f"| {name} | " + " | ".join(f"{each[name]:.0f}" for each in columns.values()) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
