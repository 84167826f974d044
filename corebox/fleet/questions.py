"""What people ask of a fleet: which families are the largest, which crashes have something in common, how it stands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, case, func, literal, select

from corebox.errors import InputError
from corebox.fleet import tables
from corebox.fleet.arrival import bundle_path
from corebox.fleet.database import Fleet
from corebox.fleet.releases import in_range, is_range


class Filter(NamedTuple):
    """Which crashes are meant; what is None is not asked. Times are seconds since 1970.

    Attributes:
        function: a function on the stack of the thread that failed; ``name*`` for those that begin so.
        module: the name of a mapped file, or its beginning and a star.
        package: the package and version that a mapped file is of, in the same way.
        build_id: that of a mapped file, or its beginning.
        customer: see ``Labels``.
        product: see there.
        release: see there; ``4.1..4.3`` for all between.
        since: crashed then or later.
        until: crashed before.
        signal: its name.
        family: number, or text of the family.
        text: a part of the cause.
        state: one of STATES.
    """

    function: str | None = None
    module: str | None = None
    package: str | None = None
    build_id: str | None = None
    customer: str | None = None
    product: str | None = None
    release: str | None = None
    since: int | None = None
    until: int | None = None
    signal: str | None = None
    family: str | None = None
    text: str | None = None
    state: str | None = None


#: All of them.
EVERY = Filter()


class FamilyCount(NamedTuple):
    """A family with how many crashes have it, how often they arrived, whose they are, and when it was seen."""

    id: int
    text: str
    name: str | None
    ticket: str | None
    crashes: int
    seen: int
    customers: int
    releases: int
    first: int | None
    last: int | None

    def to_json(self) -> dict[str, Any]:
        """A family of ``schema/fleet-top-1.schema.json``."""
        return self._asdict()


class CrashRow(NamedTuple):
    """A crash as it stands in a list."""

    id: int
    customer: str
    product: str
    release: str
    crashed: int | None
    signal: str | None
    family: str | None
    cause: str | None
    state: str

    def to_json(self) -> dict[str, Any]:
        """A crash of ``schema/fleet-find-1.schema.json``."""
        return self._asdict()


class ModuleRow(NamedTuple):
    """A mapped file; see ``ModuleFact``."""

    name: str
    build_id: str
    package: str


class CrashDetails(NamedTuple):
    """All that the database has of a crash; see ``tables.crash``."""

    row: CrashRow
    received: int
    seen: int
    size: int
    source: str | None
    system: str | None
    program: str | None
    signature: str | None
    failure: str | None
    held: bool
    kept: bool
    frames: tuple[str, ...]
    modules: tuple[ModuleRow, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of ``schema/fleet-show-1.schema.json``."""
        rest = {**self._asdict(), "frames": list(self.frames), "modules": [each._asdict() for each in self.modules]}
        del rest["row"]
        return {"version": 1, **self.row.to_json(), **rest}


class Status(NamedTuple):
    """How a fleet stands.

    Attributes:
        crashes: how many are in each of STATES.
        seen: how often crashes arrived.
        failures: how many crashes failed by which code.
        size: bytes of the bundles that are kept.
        families: how many there are.
    """

    crashes: dict[str, int]
    seen: int
    failures: dict[str, int]
    size: int
    families: int

    def to_json(self) -> dict[str, Any]:
        """The document of ``schema/fleet-status-1.schema.json``."""
        return {"version": 1, **self._asdict()}


_crash, _release, _module = tables.crash.c, tables.release.c, tables.module.c
#: The family that counts: one that was merged is a part of another.
WHOLE = tables.family.alias("whole")
_STATES: dict[str, ColumnElement[bool]] = {
    "waiting": _crash.reporter.is_(None) & _crash.failure.is_(None),
    "reported": _crash.reporter.is_not(None),
    "failed": _crash.reporter.is_(None) & _crash.failure.is_not(None),
}
STATES = tuple(_STATES)
_state = case(*((condition, literal(name)) for name, condition in _STATES.items()))
#: Crashes with all that they refer to.
JOINED = (
    tables.crash.join(tables.customer)
    .join(tables.release)
    .outerjoin(tables.signature)
    .outerjoin(tables.family)
    .outerjoin(WHOLE, WHOLE.c.id == func.coalesce(tables.family.c.merged, tables.family.c.id))
)
_row = (
    _crash.id,
    tables.customer.c.name,
    _release.product,
    _release.name,
    _crash.crashed,
    _crash.signal,
    func.coalesce(WHOLE.c.name, WHOLE.c.text),
    _crash.cause,
    _state,
)


def top(fleet: Fleet, which: Filter = EVERY, limit: int = 20, new_since: int | None = None) -> list[FamilyCount]:
    """The families with the most crashes of those that are meant; with ``new_since`` those not seen before.

    Raises:
        HostError: ``database-unusable``.
    """
    crashes = func.count().label("crashes")
    columns = (
        crashes,
        func.sum(_crash.seen),
        func.count(_crash.customer.distinct()),
        func.count(_crash.release.distinct()),
        func.min(_crash.crashed),
        func.max(_crash.crashed),
    )
    head = (WHOLE.c.id, WHOLE.c.text, WHOLE.c.name, WHOLE.c.ticket)
    query = (
        select(*head, *columns).select_from(JOINED).group_by(*head).order_by(crashes.desc(), WHOLE.c.id).limit(limit)
    )
    if new_since is not None:
        query = query.having(func.min(_crash.crashed) >= new_since)
    with fleet.reading() as connection:
        meant = (WHOLE.c.id.is_not(None), *conditions(connection, which))
        return [FamilyCount(*row) for row in connection.execute(query.where(*meant))]


def find(fleet: Fleet, which: Filter = EVERY, limit: int = 100) -> list[CrashRow]:
    """The crashes that are meant, the newest first.

    Raises:
        HostError: ``database-unusable``.
    """
    newest = _crash.crashed.desc().nulls_last()
    query = select(*_row).select_from(JOINED).order_by(newest, _crash.id.desc()).limit(limit)
    with fleet.reading() as connection:
        return [CrashRow(*row) for row in connection.execute(query.where(*conditions(connection, which)))]


def show(fleet: Fleet, number: int) -> CrashDetails:
    """A crash.

    Raises:
        InputError: ``not-in-fleet``.
        HostError: ``database-unusable``.
    """
    more = (
        *(_crash.received, _crash.seen, _crash.size, _crash.source, _crash.system, _crash.program),
        *(tables.signature.c.text, _crash.failure, _crash.held, _crash.kept),
    )
    query = select(*_row, *more, tables.stack.c.frames, _crash.module_set)
    with fleet.reading() as connection:
        found = connection.execute(
            query.select_from(JOINED.outerjoin(tables.stack)).where(_crash.id == number)
        ).one_or_none()
        if found is None:
            raise no_such_crash(number)
        *values, frames, module_set = found
        modules = tuple(ModuleRow(*row) for row in _modules(connection, module_set))
    row, rest = CrashRow(*values[: len(_row)]), values[len(_row) :]
    return CrashDetails._make([row, *rest, tuple(frames.split("\n")) if frames else (), modules])


def bundle(fleet: Fleet, number: int) -> Path:
    """The bundle of a crash.

    Raises:
        InputError: ``not-in-fleet``, ``bundle-gone``.
        HostError: ``database-unusable``.
    """
    with fleet.reading() as connection:
        digest = connection.scalar(select(_crash.bundle).where(_crash.id == number))
    if digest is None:
        raise no_such_crash(number)
    path = bundle_path(fleet, digest)
    if not path.exists():
        hint = f"what is known of it: corebox fleet show {number}"
        raise InputError("bundle-gone", f"the bundle of crash {number} was removed", hint)
    return path


def no_such_crash(number: int) -> InputError:
    """What is said of a number that no crash has."""
    return InputError("not-in-fleet", f"the fleet has no crash {number}", "list them: corebox fleet find")


def status(fleet: Fleet) -> Status:
    """How the fleet stands.

    Raises:
        HostError: ``database-unusable``.
    """
    count = func.count()
    with fleet.reading() as connection:
        states = {row[0]: row[1] for row in connection.execute(select(_state, count).group_by(_state))}
        codes = select(_crash.code, count).where(_STATES["failed"]).group_by(_crash.code)
        return Status(
            crashes={name: states.get(name, 0) for name in STATES},
            seen=connection.scalar(select(func.sum(_crash.seen))) or 0,
            failures={code or "": number for code, number in connection.execute(codes)},
            size=int(connection.scalar(select(func.sum(_crash.size)).where(_crash.kept)) or 0),
            families=connection.scalar(select(func.count(func.distinct(tables.signature.c.family)))) or 0,
        )


def chosen(connection: Connection, which: Filter) -> Any:
    """The numbers of the crashes that are meant, as a query for a statement that changes them."""
    return select(_crash.id).select_from(JOINED).where(*conditions(connection, which))


def _modules(connection: Connection, module_set: int | None) -> Iterator[Any]:
    pair = tables.module_set_module.c
    query = select(_module.name, _module.build_id, _module.package).select_from(
        tables.module.join(tables.module_set_module)
    )
    yield from connection.execute(query.where(pair.module_set == module_set).order_by(_module.name))


def conditions(connection: Connection, which: Filter) -> Iterator[ColumnElement[bool]]:
    """What is true of a row of ``JOINED`` that is meant."""
    equal = {
        tables.customer.c.name: which.customer,
        _release.product: which.product,
        _release.name: None if which.release and is_range(which.release) else which.release,
        _crash.signal: which.signal,
    }
    yield from (column == value for column, value in equal.items() if value is not None)
    if which.release and is_range(which.release):
        releases = connection.execute(select(_release.id, _release.name))
        yield _crash.release.in_([number for number, name in releases if in_range(name, which.release)])
    if which.since is not None:
        yield _crash.crashed >= which.since
    if which.until is not None:
        yield _crash.crashed < which.until
    if which.state is not None:
        yield _STATES[which.state]
    if which.family is not None:
        number = int(which.family) if which.family.isdecimal() else -1
        yield (WHOLE.c.id == number) | (WHOLE.c.text == which.family) | (WHOLE.c.name == which.family)
    if which.text is not None:
        yield _crash.cause.icontains(which.text, autoescape=True)
    if which.function is not None:
        name = tables.function.c.name
        pair = tables.stack_function.c
        yield _crash.stack.in_(
            select(pair.stack)
            .select_from(tables.stack_function.join(tables.function))
            .where(_begins(name, which.function))
        )
    if (which.module, which.package, which.build_id) != (None, None, None):
        yield _crash.module_set.in_(_sets_with(which))


def _sets_with(which: Filter) -> Any:
    """The sets of modules that have one with all that is asked of it."""
    query = select(tables.module_set_module.c.module_set).select_from(tables.module_set_module.join(tables.module))
    if which.module is not None:
        query = query.where(_begins(_module.name, which.module))
    if which.package is not None:
        query = query.where(_begins(_module.package, which.package))
    if which.build_id is not None:
        query = query.where(_begins(_module.build_id, which.build_id.lower() + "*"))
    return query


def _begins(column: ColumnElement[str], wanted: str) -> ColumnElement[bool]:
    """Whether a text is ``wanted``, or begins so if that ends with a star; by ranges, for which an index serves."""
    if not wanted.endswith("*"):
        return column == wanted
    first = wanted[:-1]
    return (column >= first) & (column < first + chr(0x10FFFF)) if first else column.is_not(None)
