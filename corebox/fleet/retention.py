"""What goes: facts stay, bundles go by rule; of a customer everything goes."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from corebox.errors import InputError
from corebox.fleet import tables
from corebox.fleet.arrival import bundle_path
from corebox.fleet.database import Fleet
from corebox.fleet.decisions import note
from corebox.fleet.reporting import page_path, report_path

#: Of each signature in each release so many of the first and of the last crashes keep their bundles.
KEPT = 3
_STEP = 500  # crashes that are asked for at once
_crash = tables.crash.c
_COLUMNS = (_crash.id, _crash.bundle, _crash.size, _crash.kept)


class Gone(NamedTuple):
    """What was removed, or would be: the numbers of the crashes, and the bytes of their bundles."""

    crashes: tuple[int, ...]
    size: int


class _Kept(NamedTuple):
    """A crash, the digest of its bundle, the bytes of that, and whether it is still there."""

    id: int
    bundle: bytes
    size: int
    kept: bool


def forget_customer(fleet: Fleet, customer: str, *, dry: bool = False) -> Gone:
    """Remove all that is here of a customer: crashes, bundles, reports; with ``dry`` only say what that is.

    Raises:
        InputError: ``no-such-customer``.
        HostError: ``database-unusable``.
    """
    with fleet.writing() as connection:
        number = connection.scalar(select(tables.customer.c.id).filter_by(name=customer))
        if number is None:
            hint = "see whose crashes there are: corebox fleet find"
            raise InputError("no-such-customer", f"the fleet has no customer {customer}", hint)
        rows = [_Kept(*row) for row in connection.execute(select(*_COLUMNS).filter_by(customer=number))]
        if not dry:
            connection.execute(delete(tables.crash).filter_by(customer=number))
            connection.execute(delete(tables.customer).filter_by(id=number))
            for table in (tables.token, tables.reader):
                connection.execute(delete(table).filter_by(customer=customer))
            _sweep(connection)
            note(connection, "a customer was forgotten")
    if not dry:
        _remove(fleet, rows)
    return _gone(rows)


def drop_bundles(fleet: Fleet, older_than: float | None, limit: int | None = None, *, dry: bool = False) -> Gone:
    """Remove the bundles of crashes that arrived more than ``older_than`` seconds ago; what is known of them stays.

    With ``limit`` also the oldest others, until the rest has no more bytes than that. Those that are held stay, and of
    each signature in each release the first and the last ``KEPT``, even if these are more.

    Raises:
        HostError: ``database-unusable``.
    """
    alike = (_crash.signature, _crash.release)
    numbered = select(
        *_COLUMNS,
        _crash.held,
        _crash.received,
        func.row_number().over(partition_by=alike, order_by=_crash.id).label("first"),
        func.row_number().over(partition_by=alike, order_by=_crash.id.desc()).label("last"),
    ).where(_crash.kept, _crash.reporter.is_not(None))
    all_ = numbered.subquery().c
    spare = (all_.first > KEPT) & (all_.last > KEPT) & ~all_.held
    query = select(all_.id, all_.bundle, all_.size, all_.kept, all_.received).where(spare)
    with fleet.writing() as connection:
        rest = int(connection.scalar(select(func.sum(_crash.size)).where(_crash.kept)) or 0)
        rows = []
        for *values, received in connection.execute(query.order_by(all_.received, all_.id)):
            row = _Kept(*values)
            is_old = older_than is not None and received < time.time() - older_than
            if is_old or (limit is not None and rest > limit):
                rows.append(row)
                rest -= row.size
        if not dry:
            for row in rows:
                connection.execute(update(tables.crash).filter_by(id=row.id).values(kept=False))
    if not dry:
        _remove(fleet, rows)
    return _gone(rows)


def _gone(rows: Sequence[_Kept]) -> Gone:
    return Gone(tuple(row.id for row in rows), sum(row.size for row in rows if row.kept))


def _remove(fleet: Fleet, rows: Sequence[_Kept]) -> None:
    """Remove the files of the crashes, but for a bundle that another customer has sent too."""
    for begin in range(0, len(rows), _STEP):
        step = rows[begin : begin + _STEP]
        bundles = {row.bundle for row in step}
        with fleet.reading() as connection:
            needed = set(connection.scalars(select(_crash.bundle).where(_crash.bundle.in_(bundles), _crash.kept)))
        files = [path(fleet, row.id) for row in step for path in (report_path, page_path)]
        for path in (*files, *(bundle_path(fleet, bundle) for bundle in bundles - needed)):
            path.unlink(missing_ok=True)


def _sweep(connection: Connection) -> None:
    """Remove the stacks, sets of modules and families that no crash has any more: they tell of whoever had them."""
    kept = {
        name: select(_crash[name]).where(_crash[name].is_not(None)) for name in ("stack", "module_set", "signature")
    }
    pairs = (
        (tables.stack_function, tables.stack, "stack"),
        (tables.module_set_module, tables.module_set, "module_set"),
    )
    for pair, table, name in pairs:
        connection.execute(delete(pair).where(pair.c[name].not_in(kept[name])))
        connection.execute(delete(table).where(table.c.id.not_in(kept[name])))
    connection.execute(delete(tables.signature).where(tables.signature.c.id.not_in(kept["signature"])))
    rest = (
        (tables.function, select(tables.stack_function.c.function)),
        (tables.module, select(tables.module_set_module.c.module)),
        (tables.release, select(_crash.release)),
    )
    for table, used in rest:
        connection.execute(delete(table).where(table.c.id.not_in(used)))
    family = tables.family.alias()
    of_crashes = tables.family.c.id.in_(select(tables.signature.c.family))
    parts = tables.family.c.id.in_(select(family.c.merged).where(family.c.merged.is_not(None)))
    connection.execute(delete(tables.family).where(~of_crashes, ~parts))
