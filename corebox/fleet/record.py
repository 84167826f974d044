"""What was found out about a crash goes into the database: all of it in one transaction, or nothing."""

import hashlib
from typing import Any

from sqlalchemy import Connection, delete, select, update

from corebox import __version__
from corebox.fleet import tables
from corebox.fleet.database import Fleet
from corebox.fleet.facts import MAX_TEXT_LENGTH, Facts, ModuleFact
from corebox.fleet.rows import add_new, ensure

#: Reports of one reporter are alike; one of another is made again by ``again`` only, which costs hours for a big fleet.
REPORTER = __version__


def record(fleet: Fleet, crash: int, facts: Facts) -> None:
    """Note the facts of the crash; of one that another bundle has brought, that it was seen once more.

    Raises:
        HostError: ``database-unusable``.
    """
    with fleet.writing() as connection:
        family = ensure(connection, tables.family, text=facts.family)
        values: dict[str, Any] = {
            "identity": bytes.fromhex(facts.identity),
            "crashed": facts.crashed,
            "signal": facts.signal,
            "cause": facts.cause,
            "program": facts.program,
            "system": facts.system,
            "signature": ensure(connection, tables.signature, text=facts.signature, family=family),
            "stack": _stack(connection, facts.functions),
            "module_set": _module_set(connection, facts.modules),
        }
        row = connection.execute(select(tables.crash).filter_by(id=crash)).one_or_none()
        if row is None:
            return  # forgotten meanwhile
        if not _counted_elsewhere(connection, row, values["identity"]):
            values["release"] = _release(connection, row.release, facts)
            done = {"reporter": REPORTER, "code": None, "failure": None, "attempts": 0}
            connection.execute(update(tables.crash).filter_by(id=crash).values(**values, **done))


def record_failure(fleet: Fleet, crash: int, code: str, message: str) -> None:
    """Note why the crash could not be reported.

    Raises:
        HostError: ``database-unusable``.
    """
    values = {"code": code, "failure": message[:MAX_TEXT_LENGTH], "attempts": 0}
    with fleet.writing() as connection:
        connection.execute(update(tables.crash).filter_by(id=crash).values(**values))


def _counted_elsewhere(connection: Connection, row: Any, identity: bytes) -> bool:
    """Whether the customer's crash is here by another file, e.g. compressed in another way; then that row counts."""
    crash = tables.crash
    same = (crash.c.customer == row.customer, crash.c.identity == identity, crash.c.id != row.id)
    first = connection.scalar(select(crash.c.id).where(*same))
    if first is None:
        return False
    connection.execute(update(crash).where(crash.c.id == first).values(seen=crash.c.seen + row.seen))
    connection.execute(delete(crash).where(crash.c.id == row.id))
    return True


def _release(connection: Connection, given: int, facts: Facts) -> int:
    """The release with the program as its product if nobody named one."""
    release = connection.execute(select(tables.release).filter_by(id=given)).one()
    return ensure(connection, tables.release, product=release.product or facts.program, name=release.name)


def _stack(connection: Connection, functions: tuple[str, ...]) -> int:
    text = "\n".join(functions)
    digest = hashlib.sha256(text.encode()).digest()
    known = connection.scalar(select(tables.stack.c.id).filter_by(digest=digest))
    if known is not None:
        return int(known)
    made = ensure(connection, tables.stack, digest=digest, frames=text)
    numbers = [ensure(connection, tables.function, name=name) for name in sorted(set(functions))]
    add_new(connection, tables.stack_function, [{"function": each, "stack": made} for each in numbers])
    return made


def _module_set(connection: Connection, modules: tuple[ModuleFact, ...]) -> int:
    distinct = sorted(set(modules))
    digest = hashlib.sha256(repr([tuple(each) for each in distinct]).encode()).digest()
    known = connection.scalar(select(tables.module_set.c.id).filter_by(digest=digest))
    if known is not None:
        return int(known)
    made = ensure(connection, tables.module_set, digest=digest)
    numbers = [ensure(connection, tables.module, **each._asdict()) for each in distinct]
    add_new(connection, tables.module_set_module, [{"module": each, "module_set": made} for each in numbers])
    return made
