"""What changes, and what sets a family apart: crashes by day, new families, what their crashes have in common."""

from collections.abc import Iterator
from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, case, func, select

from corebox.errors import InputError
from corebox.fleet import tables
from corebox.fleet.database import Fleet
from corebox.fleet.questions import EVERY, JOINED, WHOLE, Filter, conditions
from corebox.fleet.releases import version_key

_crash, _release, _module = tables.crash.c, tables.release.c, tables.module.c
_DAY = 86400
#: How sure one can be that all that ``apart`` lists is more than chance.
_CONFIDENCE = 0.95
_BY: dict[str, tuple[ColumnElement[Any], ...]] = {
    "day": (_crash.crashed // _DAY,),
    "release": (_release.product, _release.name),
    "customer": (tables.customer.c.name,),
}
#: What people call the release and the customer of a crash, and the number that it has of them.
_NAMES = {"release": (_release.name, _release.id), "customer": (tables.customer.c.name, tables.customer.c.id)}
#: What crashes are counted by.
BY = tuple(_BY)


class Count(NamedTuple):
    """How many crashes, and how often they arrived. ``key`` is the first second of a day, or a list of names."""

    key: tuple[str | int | None, ...]
    crashes: int
    seen: int


class Change(NamedTuple):
    """A family and its crashes before a release, and since it; ``kind`` is ``new``, ``gone`` or ``regressed``."""

    kind: str
    id: int
    text: str
    name: str | None
    ticket: str | None
    before: int
    since: int


class Trait(NamedTuple):
    """What crashes of one family have more often than others of the same products.

    Attributes:
        kind: ``release``, ``customer``, ``system`` or ``module``.
        value: which.
        crashes: how many crashes of the family have it.
        of: how many crashes the family has.
        others: how many other crashes have it.
        others_of: how many others there are.
        excess: by how much the shares differ at least (the lower end of Newcombe's interval of the difference, wide
            enough that with 95 % confidence no trait of the whole list is there by chance).
    """

    kind: str
    value: str
    crashes: int
    of: int
    others: int
    others_of: int
    excess: float


def counts(fleet: Fleet, by: str, which: Filter = EVERY) -> list[Count]:
    """The crashes that are meant by day, release or customer, in that order.

    Raises:
        HostError: ``database-unusable``.
    """
    keys = _BY[by]
    with fleet.reading() as connection:
        query = select(*keys, func.count(), func.sum(_crash.seen)).select_from(JOINED)
        rows = connection.execute(query.where(*conditions(connection, which)).group_by(*keys).order_by(*keys))
        found = [Count(tuple(key), crashes, seen) for *key, crashes, seen in rows]
    if by == "day":
        return [each._replace(key=(None if (day := each.key[0]) is None else int(day) * _DAY,)) for each in found]
    return sorted(found, key=lambda each: (each.key[0], version_key(str(each.key[1])))) if by == "release" else found


def daily(fleet: Fleet, which: Filter) -> dict[int, dict[int, int]]:
    """For each family the number of crashes on each day, counted from 1970.

    Raises:
        HostError: ``database-unusable``.
    """
    keys = (WHOLE.c.id, _crash.crashed // _DAY)
    found: dict[int, dict[int, int]] = {}
    with fleet.reading() as connection:
        meant = (WHOLE.c.id.is_not(None), *conditions(connection, which))
        query = select(*keys, func.count()).select_from(JOINED).where(*meant).group_by(*keys)
        for family, day, number in connection.execute(query):
            found.setdefault(family, {})[day] = number
    return found


def newest_releases(fleet: Fleet) -> list[tuple[str, str]]:
    """Of each product the last release.

    Raises:
        HostError: ``database-unusable``.
    """
    with fleet.reading() as connection:
        rows = [(product, name) for product, name in connection.execute(select(_release.product, _release.name))]
    return sorted(dict(sorted(rows, key=lambda row: version_key(row[1]))).items())


def changes(fleet: Fleet, product: str, release: str) -> list[Change]:
    """The families of a product that are new since a release, gone since, or back again.

    A family is back if it was seen in an earlier release, but not in the last one before.

    Raises:
        InputError: ``no-such-release``.
        HostError: ``database-unusable``.
    """
    with fleet.reading() as connection:
        names = list(connection.scalars(select(_release.name).where(_release.product == product)))
        if release not in names:
            hint = "see which there are: corebox fleet count --by release"
            raise InputError("no-such-release", f"the fleet has no release {release} of {product}", hint)
        earlier = sorted((each for each in names if version_key(each) < version_key(release)), key=version_key)
        before = case((_release.name.in_(earlier), 1), else_=0)
        last = case((_release.name == (earlier[-1] if earlier else None), 1), else_=0)
        head = (WHOLE.c.id, WHOLE.c.text, WHOLE.c.name, WHOLE.c.ticket)
        query = select(*head, func.count(), func.sum(before), func.sum(last)).select_from(JOINED)
        rows = connection.execute(
            query.where(WHOLE.c.id.is_not(None), _release.product == product).group_by(*head)
        ).all()
    found = [Change._make((_kind(total, old, recent), *about, old, total - old)) for *about, total, old, recent in rows]
    return sorted((each for each in found if each.kind), key=lambda each: (-each.since, -each.before, each.id))


def apart(fleet: Fleet, family: int) -> list[Trait]:
    """What sets the family apart, the clearest first; nothing that may be chance.

    Raises:
        InputError: ``no-such-family``.
        HostError: ``database-unusable``.
    """
    with fleet.reading() as connection:
        if connection.scalar(select(tables.family.c.id).filter_by(id=family)) is None:
            raise InputError("no-such-family", f"the fleet has no family {family}", "list them: corebox fleet top")
        # Each crash is looked at several times, so its row has to be enough: it has the numbers of what it refers to.
        whole = func.coalesce(tables.family.c.merged, tables.family.c.id)
        signatures = select(tables.signature.c.id).join(tables.family).where(whole == family)
        own = list(connection.scalars(signatures))
        inside = case((_crash.signature.in_(own), 1), else_=0)
        products = select(_release.product).join(tables.crash).where(_crash.signature.in_(own))
        releases = list(connection.scalars(select(_release.id).where(_release.product.in_(products))))
        meant = (_crash.reporter.is_not(None), _crash.release.in_(releases))
        total, of = connection.execute(select(func.count(), func.coalesce(func.sum(inside), 0)).where(*meant)).one()
        rows = list(_shares(connection, inside, meant))
    z = NormalDist().inv_cdf(1 - (1 - _CONFIDENCE) / 2 / max(len(rows), 1))
    found = (
        Trait(kind, value, a, of, both - a, total - of, _least_excess(a, of, both - a, total - of, z))
        for kind, value, both, a in rows
    )
    return sorted((each for each in found if each.excess > 0), key=lambda each: (-each.excess, each.kind, each.value))


def _kind(total: int, before: int, last: int) -> str:
    if not before:
        return "new"
    if total == before:
        return "gone"
    return "" if last else "regressed"


def _shares(
    connection: Connection, inside: ColumnElement[int], meant: tuple[ColumnElement[bool], ...]
) -> Iterator[tuple[str, str, int, int]]:
    """Kind, value, and how many of all the crashes and of the family's have it."""
    for kind, column in {"release": _crash.release, "customer": _crash.customer, "system": _crash.system}.items():
        query = select(column.label("value"), func.count().label("both"), func.sum(inside).label("a"))
        by_value = query.where(*meant, column.is_not(None)).group_by(column).subquery().c
        name, condition = _NAMES.get(kind, (by_value.value, None))
        named = select(name, func.sum(by_value.both), func.sum(by_value.a)).group_by(name)
        for value, both, a in connection.execute(
            named if condition is None else named.where(condition == by_value.value)
        ):
            yield kind, value, int(both), int(a)
    sets = select(_crash.module_set, func.count().label("both"), func.sum(inside).label("a"))
    by_set = sets.where(*meant, _crash.module_set.is_not(None)).group_by(_crash.module_set).subquery()
    head = (_module.name, _module.build_id, _module.package)
    pair = tables.module_set_module
    joined = by_set.join(pair, pair.c.module_set == by_set.c.module_set).join(tables.module)
    query = select(*head, func.sum(by_set.c.both), func.sum(by_set.c.a)).select_from(joined).group_by(_module.id)
    for name, build_id, package, both, a in connection.execute(query):
        yield "module", " ".join(filter(None, (name, package, build_id))), int(both), int(a)


def _least_excess(a: int, of: int, b: int, others_of: int, z: float) -> float:
    """The lower end of the interval of ``a/of - b/others_of`` (Newcombe 1998, method 10)."""
    if not of or not others_of:
        return 0.0
    p, q = a / of, b / others_of
    return p - q - sqrt((p - _wilson(a, of, z)[0]) ** 2 + (_wilson(b, others_of, z)[1] - q) ** 2)


def _wilson(a: int, of: int, z: float) -> tuple[float, float]:
    """Wilson's interval of a share."""
    p, scale = a / of, 1 + z * z / of
    middle, half = (p + z * z / 2 / of) / scale, z / scale * sqrt(p * (1 - p) / of + z * z / 4 / of / of)
    return middle - half, middle + half
