"""The fleet's database: SQLite in the user's data folder, or PostgreSQL."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    delete,
    event,
    insert,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, ProgrammingError

from corebox.errors import HostError, UsageError
from corebox.fleet.tables import setting
from corebox.store.store import Store

#: Names the database of one command.
VARIABLE = "COREBOX_FLEET"
MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 60
#: The newest of the migrations, and the table in which Alembic notes which one the database is of.
REVISION = "0003"
_VERSION = Table("alembic_version", MetaData(), Column("version_num", Text))


class Fleet(NamedTuple):
    """A fleet, open: its database, and the folder with the bundles and reports."""

    engine: Engine
    folder: Path

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only asks.

        Raises:
            HostError: ``database-unusable``.
        """
        with _explained(self.engine), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, which is undone if the block raises.

        Raises:
            HostError: ``database-unusable``.
        """
        with _explained(self.engine), self.engine.begin() as connection:
            yield connection


def home() -> Path:
    """Where a fleet of one machine is, and the note which database the user has chosen."""
    return Store.default_home() / "fleet"


def open_fleet(url: str | None = None) -> Fleet:
    """The fleet at ``url``, else that of COREBOX_FLEET, of ``corebox fleet init``, or an SQLite file, made if need be.

    Its tables are brought to the form that this version of corebox knows.

    Raises:
        UsageError: ``bad-fleet``.
        HostError: ``database-unusable``, ``fleet-too-new``.
    """
    folder = home()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    note = folder / "database"
    text = url or os.environ.get(VARIABLE) or (note.read_text("utf-8").strip() if note.exists() else "")
    engine = _engine(text or URL.create("sqlite", database=str(folder / "fleet.db")))
    with _explained(engine):
        if not _is_current(engine):
            _upgrade(engine)
    fleet = Fleet(engine, folder)
    with fleet.reading() as connection:
        shared = connection.scalar(select(setting.c.value).filter_by(name="folder"))
    return fleet._replace(folder=Path(shared)) if shared else fleet


def choose(url: str, folder: Path | None = None) -> Fleet:
    """Open the fleet at ``url`` and use it from now on; ``folder`` is where its bundles and reports are, for everybody.

    Raises:
        Those of ``open_fleet``; HostError: ``cannot-write``.
    """
    fleet = open_fleet(url)
    if folder is not None:
        fleet = fleet._replace(folder=folder.absolute())
        with fleet.writing() as connection:
            connection.execute(delete(setting).filter_by(name="folder"))
            connection.execute(insert(setting).values(name="folder", value=str(fleet.folder)))
        fleet.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home() / "database").write_text(url + "\n", "utf-8")
    return fleet


def _engine(url: str | URL) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        hint = "give sqlite:////absolute/path.db or postgresql://USER@HOST/NAME, and install corebox[fleet]"
        raise UsageError("bad-fleet", f"{url} names no database that can be used: {error}", hint) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 would begin a transaction only when something is written
    for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on", f"busy_timeout={_BUSY_SECONDS * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Begin with the lock for writing: who asks for it later, with another at work, fails instead of waiting."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_current(engine: Engine) -> bool:
    """Whether the tables are as this version of corebox knows them; one of no version has none."""
    with contextlib.suppress(OperationalError, ProgrammingError), engine.connect() as connection:
        asking = connection.execution_options(isolation_level="AUTOCOMMIT")
        return asking.scalar(select(_VERSION.c.version_num)) == REVISION
    return False


def _upgrade(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:  # it does not know the revision that the database is of
            hint = "use that version of corebox; corebox --version"
            raise HostError("fleet-too-new", "a later version of corebox has made this fleet", hint) from error


@contextlib.contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        where = engine.url.render_as_string(hide_password=True)
        hint = "check that it runs and that you may use it, then try again: nothing was lost; corebox fleet status"
        raise HostError("database-unusable", f"the database {where} answers: {error.orig}", hint) from error
