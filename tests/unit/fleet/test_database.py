"""The database of a fleet: which one it is, its form, and what is told of one that cannot be used."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from corebox.errors import HostError, UsageError
from corebox.fleet.database import MIGRATIONS, REVISION, Fleet, choose, open_fleet
from corebox.fleet.tables import metadata


def test_the_migrations_make_the_tables(fleet: Fleet) -> None:
    with fleet.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_revision_that_is_looked_for_is_the_newest_migration(fleet: Fleet) -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == REVISION
    with fleet.reading() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == REVISION


def test_the_chosen_database_is_used_from_now_on(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = f"sqlite:///{tmp_path}/chosen.db"
    choose(chosen)
    assert str(open_fleet().engine.url) == chosen
    monkeypatch.setenv("COREBOX_FLEET", f"sqlite:///{tmp_path}/once.db")
    assert str(open_fleet().engine.url).endswith("/once.db")


@pytest.mark.parametrize("url", ["nonsense", "oracle://u@h/db", "nodb://", "sqlite:////nowhere/at/all.db"])
def test_a_database_that_cannot_be_used_is_told(fleet: Fleet, url: str) -> None:
    with pytest.raises((UsageError, HostError)) as caught:
        open_fleet(url)
    assert caught.value.code in ("bad-fleet", "database-unusable")


def test_a_fleet_of_a_later_version_is_left_alone(fleet: Fleet) -> None:
    with fleet.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(HostError, match="later version") as caught:
        open_fleet()
    assert caught.value.code == "fleet-too-new"


def test_a_transaction_that_fails_leaves_nothing(fleet: Fleet) -> None:
    with pytest.raises(HostError), fleet.writing() as connection:  # noqa: PT012  # the second is refused
        for _ in range(2):
            connection.execute(metadata.tables["customer"].insert().values(name="acme"))
    with fleet.reading() as connection:
        assert connection.execute(metadata.tables["customer"].select()).all() == []
