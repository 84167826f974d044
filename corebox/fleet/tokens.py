"""With a token a customer may send crashes, and nothing else. Only its digest is kept."""

import hashlib
import secrets
import time
from typing import NamedTuple

from sqlalchemy import Table, delete, select

from corebox.fleet import tables
from corebox.fleet.arrival import Labels
from corebox.fleet.database import Fleet


class Token(NamedTuple):
    """A token that was given out; ``number`` is for people, ``made`` in seconds since 1970."""

    number: int
    customer: str
    product: str
    made: int


def make_token(fleet: Fleet, customer: str, product: str = "") -> str:
    """A new token for crashes of the customer; nobody can read it again.

    Raises:
        HostError: ``database-unusable``.
    """
    return issue(fleet, tables.token, customer=customer, product=product, made=int(time.time()))


def list_tokens(fleet: Fleet) -> list[Token]:
    """Those that are good."""
    columns = tables.token.c
    query = select(columns.id, columns.customer, columns.product, columns.made).order_by(columns.id)
    with fleet.reading() as connection:
        rows = connection.execute(query)
        return [Token(*row) for row in rows]


def revoke_token(fleet: Fleet, number: int) -> bool:
    """Make it worthless; whether there was one of that number."""
    return withdraw(fleet, tables.token, number)


def labels_of(fleet: Fleet, text: str) -> Labels | None:
    """Whose crashes a token brings; None for one that is not good.

    Raises:
        HostError: ``database-unusable``.
    """
    columns = tables.token.c
    with fleet.reading() as connection:
        row = connection.execute(
            select(columns.customer, columns.product).where(columns.digest == digest_of(text))
        ).one_or_none()
    return None if row is None else Labels(row.customer, row.product)


def issue(fleet: Fleet, table: Table, **values: object) -> str:
    """A new secret, in a row of ``table`` with these values and its digest."""
    text = secrets.token_urlsafe(32)
    with fleet.writing() as connection:
        connection.execute(table.insert().values(digest=digest_of(text), **values))
    return text


def withdraw(fleet: Fleet, table: Table, number: int) -> bool:
    """Remove the row of that number; whether there was one."""
    with fleet.writing() as connection:
        return bool(connection.execute(delete(table).filter_by(id=number)).rowcount)


def digest_of(text: str) -> bytes:
    """What is kept of a token. It is 256 random bits, so a plain digest tells nothing of it."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
