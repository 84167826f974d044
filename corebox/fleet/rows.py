"""Rows that are there once, whoever needs them first."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite


def ensure(connection: Connection, table: Table, **values: Any) -> int:
    """The ID of the row with these values, which is made if it is not there."""
    found = _find(connection, table, values)
    if found is None:
        add_new(connection, table, [values])
        found = _find(connection, table, values)
        assert found is not None
    return found


def add_new(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add those of the rows that the table does not have."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    if wanted := [dict(row) for row in rows]:
        connection.execute(insert(table).on_conflict_do_nothing(), wanted)


def _find(connection: Connection, table: Table, values: Mapping[str, Any]) -> int | None:
    found: int | None = connection.scalar(select(table.c.id).filter_by(**values))
    return found
