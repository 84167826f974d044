"""Rows of crashes that never were, distributed as 100,000 real ones of a desktop program were.

Those had 44,000 different stacks and 1,600 different sets of modules; a few families have most of the crashes.
"""

import hashlib
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table

from corebox.fleet import tables
from corebox.fleet.database import Fleet

CUSTOMERS, PRODUCTS, RELEASES = 50, 3, 30
FUNCTIONS, DEPTH = 20_000, (8, 32)
MODULES, SETS, IN_SET = 3_000, 1_600, 60
FAMILIES_OF_1000 = 20
_NEW_STACK, _REPORTED = 0.44, 0.98
_DAYS = 90
#: 2026-06-01, the end of the days.
NOW = 1_780_272_000
_BATCH = 20_000
Row = dict[str, Any]


def fill(fleet: Fleet, crashes: int) -> None:
    """Put so many crashes into an empty fleet."""
    chance = random.Random(crashes)  # not for secrets
    families = max(10, crashes * FAMILIES_OF_1000 // 1000)
    with fleet.writing() as connection:
        _names(connection, chance, families)
        stacks = _Stacks(chance)
        rows = _crashes(chance, crashes, families, stacks)
        while batch := list(islice(rows, _BATCH)):
            stacks.flush(connection)
            connection.execute(tables.crash.insert(), batch)
    if fleet.engine.dialect.name == "postgresql":
        # The numbers were given, so that the sequences have to be told.
        with fleet.writing() as connection:
            for table in (tables.customer, tables.release, tables.crash):
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), (SELECT max(id) FROM {table.name}))"
                )
    with fleet.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def _names(connection: Connection, chance: random.Random, families: int) -> None:
    _insert(connection, tables.customer, ({"id": n, "name": f"customer {n}"} for n in range(1, CUSTOMERS + 1)))
    releases = (
        {"id": 1 + p * RELEASES + n, "product": f"product{p}", "name": f"{1 + n // 10}.{n % 10}"}
        for p in range(PRODUCTS)
        for n in range(RELEASES)
    )
    _insert(connection, tables.release, releases)
    texts = ({"id": n, "text": f"null-dereference in function_{n}"} for n in range(1, families + 1))
    _insert(connection, tables.family, texts)
    signatures = (
        {"id": n, "text": f"SIGSEGV null-dereference in function_{n} < {n % 7}", "family": (n - 1) % families + 1}
        for n in range(1, 3 * families + 1)
    )
    _insert(connection, tables.signature, signatures)
    functions = ({"id": n, "name": f"project::part_{n % 97}::function_{n}"} for n in range(1, FUNCTIONS + 1))
    _insert(connection, tables.function, functions)
    modules = (
        {
            "id": n,
            "name": f"lib{n % 400}.so.{n % 5}",
            "build_id": _digest(n)[:20].hex(),
            "package": f"lib{n % 400} 1.{n}",
        }
        for n in range(1, MODULES + 1)
    )
    _insert(connection, tables.module, modules)
    _insert(connection, tables.module_set, ({"id": n, "digest": _digest(n)} for n in range(1, SETS + 1)))
    pairs = (
        {"module": module, "module_set": number}
        for number in range(1, SETS + 1)
        for module in chance.sample(range(1, MODULES + 1), IN_SET)
    )
    _insert(connection, tables.module_set_module, pairs)


class _Stacks:
    """The stacks of each family, and the rows of them that are not in the database yet."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._of: dict[int, list[int]] = {}
        self._count = 0
        self._rows: dict[Table, list[Row]] = {tables.stack: [], tables.stack_function: []}

    def one_of(self, family: int) -> int:
        """A stack, often a new one."""
        known = self._of.setdefault(family, [])
        if known and self._chance.random() > _NEW_STACK:
            return self._chance.choice(known)
        self._count += 1
        known.append(self._count)
        depth = self._chance.randint(*DEPTH)
        functions = [family % FUNCTIONS + 1, *(self._chance.randint(1, FUNCTIONS) for _ in range(depth))]
        frames = "\n".join(f"project::part_{n % 97}::function_{n}" for n in functions)
        self._rows[tables.stack].append({"id": self._count, "digest": _digest(self._count), "frames": frames})
        self._rows[tables.stack_function] += [{"function": n, "stack": self._count} for n in set(functions)]
        return self._count

    def flush(self, connection: Connection) -> None:
        """Put the rows there."""
        for table, rows in self._rows.items():
            if rows:
                connection.execute(table.insert(), rows)
                rows.clear()


def _crashes(chance: random.Random, crashes: int, families: int, stacks: _Stacks) -> Iterator[Row]:
    for crash in range(1, crashes + 1):
        family = min(int(chance.paretovariate(0.6)), families)
        yield {
            "id": crash,
            "bundle": _digest(crash),
            "identity": _digest(-crash),
            "customer": min(int(chance.paretovariate(0.8)), CUSTOMERS),
            "release": chance.randint(1, PRODUCTS * RELEASES),
            "size": 1_000_000,
            "received": NOW - chance.randrange(_DAYS * 86400),
            "reporter": "0.1.0" if chance.random() < _REPORTED else None,
            "crashed": NOW - chance.randrange(_DAYS * 86400),
            "signal": chance.choice(("SIGSEGV", "SIGSEGV", "SIGABRT", "SIGBUS")),
            "cause": f"Null pointer dereference (offset {chance.randrange(64)})",
            "program": "program",
            "system": f"Debian GNU/Linux {chance.randint(10, 13)}",
            "signature": family + families * chance.randint(0, 2),
            "stack": stacks.one_of(family),
            "module_set": min(int(chance.paretovariate(0.5)), SETS),
        }


def _insert(connection: Connection, table: Table, rows: Iterator[Row]) -> None:
    while batch := list(islice(rows, _BATCH)):
        connection.execute(table.insert(), batch)


def _module(number: int) -> Row:
    name = f"lib{number % 400}"
    build_id = _digest(number)[:20].hex()
    return {"id": number, "name": f"{name}.so.{number % 5}", "build_id": build_id, "package": f"{name} 1.{number}"}


def _digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()
