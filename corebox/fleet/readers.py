"""Who may look at the page: people with a token of their own, of which only the digest is kept."""

from typing import NamedTuple

from sqlalchemy import select

from corebox.fleet import tables
from corebox.fleet.database import Fleet
from corebox.fleet.tokens import digest_of, issue, withdraw

#: A viewer sees what is known. A debugger also reads reports, which have values of a process's memory, takes bundles,
#: and decides about families. An admin also says who may look.
ROLES = ("viewer", "debugger", "admin")


class Reader(NamedTuple):
    """A person; ``customer`` is the only one whose crashes they see, None for all."""

    number: int
    name: str
    role: str
    customer: str | None

    @property
    def opens(self) -> bool:
        """Whether they may read reports and take bundles."""
        return self.role in ("debugger", "admin")

    @property
    def decides(self) -> bool:
        """Whether they may decide about families, which are those of all customers."""
        return self.opens and self.customer is None

    @property
    def administers(self) -> bool:
        """Whether they may say who looks."""
        return self.role == "admin" and self.customer is None


_columns = tables.reader.c
_QUERY = select(_columns.id, _columns.name, _columns.role, _columns.customer).order_by(_columns.id)


def add_reader(fleet: Fleet, name: str, role: str = "viewer", customer: str | None = None) -> str:
    """Let a person look; the token that they log in with, which nobody can read again.

    Raises:
        HostError: ``database-unusable``.
    """
    return issue(fleet, tables.reader, name=name, role=role, customer=customer)


def list_readers(fleet: Fleet) -> list[Reader]:
    """Those who may."""
    with fleet.reading() as connection:
        return [Reader(*row) for row in connection.execute(_QUERY)]


def remove_reader(fleet: Fleet, number: int) -> bool:
    """Let them look no longer; whether there was one of that number."""
    return withdraw(fleet, tables.reader, number)


def reader_of(fleet: Fleet, text: str) -> Reader | None:
    """Whose token it is; None for one that is not good.

    Raises:
        HostError: ``database-unusable``.
    """
    with fleet.reading() as connection:
        row = connection.execute(_QUERY.where(_columns.digest == digest_of(text))).one_or_none()
    return None if row is None else Reader(*row)


def reader_named(fleet: Fleet, name: str) -> Reader | None:
    """The reader of that name; None if there is none, or more than one.

    Raises:
        HostError: ``database-unusable``.
    """
    with fleet.reading() as connection:
        rows = connection.execute(_QUERY.where(_columns.name == name)).all()
    return Reader(*rows[0]) if len(rows) == 1 else None
