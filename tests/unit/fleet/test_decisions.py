"""What people decide about families, and what goes."""

import pytest

from corebox.errors import InputError
from corebox.fleet import decisions, questions, retention, tables
from corebox.fleet.arrival import Labels, bundle_path
from corebox.fleet.database import Fleet
from corebox.fleet.questions import EVERY, Filter
from tests.unit.fleet.conftest import AddCrash


@pytest.fixture
def families(add: AddCrash) -> None:
    """Three families with 1, 2 and 3 crashes."""
    for number in (1, 2, 3):
        for _ in range(number):
            add(family=f"abort in f{number}", signature=f"SIGABRT abort in f{number}", functions=(f"f{number}",))


def crashes(fleet: Fleet) -> dict[str, int]:
    return {each.name or each.text: each.crashes for each in questions.top(fleet)}


def test_families_are_merged_and_split(fleet: Fleet, families: None) -> None:
    decisions.merge_families(fleet, 1, 2)
    decisions.merge_families(fleet, 2, 3)  # with what is part of it
    assert crashes(fleet) == {"abort in f3": 6}
    assert len(questions.find(fleet, Filter(family="3"))) == 6
    decisions.split_family(fleet, 1)
    assert crashes(fleet) == {"abort in f3": 5, "abort in f1": 1}
    with pytest.raises(InputError):
        decisions.merge_families(fleet, 3, 2)  # 2 is a part of 3
    with pytest.raises(InputError):
        decisions.merge_families(fleet, 1, 99)
    assert crashes(fleet) == {"abort in f3": 5, "abort in f1": 1}


def test_names_and_tickets_and_who_gave_them(fleet: Fleet, families: None) -> None:
    decisions.name_family(fleet, 3, "the one with the queue")
    decisions.note_ticket(fleet, 3, "BUG-17")
    assert questions.top(fleet)[0].ticket == "BUG-17"
    assert len(questions.find(fleet, Filter(family="the one with the queue"))) == 3
    decisions.name_family(fleet, 3, None)
    assert "abort in f3" in crashes(fleet)
    with fleet.reading() as connection:
        noted = [row.what for row in connection.execute(tables.audit.select().order_by(tables.audit.c.id))]
    assert noted[:2] == ["family 3: named the one with the queue", "family 3: ticket BUG-17"]
    with pytest.raises(InputError, match="no family 99"):
        decisions.note_ticket(fleet, 99, "BUG-1")


def test_only_what_is_meant_is_reported_again(fleet: Fleet, families: None) -> None:
    assert decisions.look_again(fleet, Filter(family="2")) == 2
    assert questions.status(fleet).crashes["waiting"] == 2
    assert decisions.look_again(fleet, EVERY, [1]) == 1
    assert questions.status(fleet).crashes["waiting"] == 3


def test_a_customer_is_forgotten_with_all_that_only_they_have(fleet: Fleet, add: AddCrash) -> None:
    mine = add(functions=("shared", "main"))
    secret = {"functions": ("their_secret", "main"), "family": "abort in their_secret", "signature": "theirs"}
    theirs = add(Labels("other", "", "9.9"), cause="their words", **secret)
    bundles = {number: bundle_path(fleet, digest_of(fleet, number)) for number in (mine, theirs)}
    for path in bundles.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"bundle")
    assert retention.forget_customer(fleet, "other", dry=True) == retention.Gone((theirs,), 1000)
    assert bundles[theirs].exists()
    assert retention.forget_customer(fleet, "other") == retention.Gone((theirs,), 1000)
    assert (bundles[mine].exists(), bundles[theirs].exists()) == (True, False)
    with fleet.reading() as connection:
        rest = [str(row) for table in tables.metadata.sorted_tables for row in connection.execute(table.select())]
    assert not [row for row in rest if "their" in row or "9.9" in row or "other" in row]
    assert questions.show(fleet, mine).frames == ("shared", "main")
    with pytest.raises(InputError, match="no customer other"):
        retention.forget_customer(fleet, "other")


def test_of_each_signature_and_release_the_first_and_last_bundles_stay(fleet: Fleet, add: AddCrash) -> None:
    numbers = [add() for _ in range(9)]
    decisions.hold(fleet, numbers[4], True)
    other = add(Labels("acme", "", "2.0"))
    assert retention.drop_bundles(fleet, 3600) == retention.Gone((), 0)  # all have just arrived
    assert retention.drop_bundles(fleet, -60, dry=True).crashes == (numbers[3], numbers[5])
    gone = retention.drop_bundles(fleet, -60)
    assert gone == retention.Gone((numbers[3], numbers[5]), 2000)
    assert questions.show(fleet, numbers[3]).kept is False
    assert questions.show(fleet, other).kept is True
    assert questions.status(fleet).crashes["reported"] == 10
    assert decisions.look_again(fleet, EVERY) == 8  # of what has its bundle
    with pytest.raises(InputError):
        decisions.hold(fleet, 99, True)


def test_the_oldest_bundles_go_until_the_rest_fits(fleet: Fleet, add: AddCrash) -> None:
    numbers = [add() for _ in range(10)]
    decisions.hold(fleet, numbers[3], True)
    with fleet.writing() as connection:
        connection.execute(tables.crash.update().values(received=tables.crash.c.id * 10))
        connection.execute(tables.crash.update().filter_by(id=numbers[6]).values(received=1))
    assert retention.drop_bundles(fleet, None, 10_000) == retention.Gone((), 0)
    assert retention.drop_bundles(fleet, None, 9_999, dry=True) == retention.Gone((numbers[6],), 1000)
    assert retention.drop_bundles(fleet, None, 8_500) == retention.Gone((numbers[6], numbers[4]), 2000)
    assert retention.drop_bundles(fleet, None, 0).crashes == (numbers[5],)  # what has to stay is more
    assert questions.status(fleet).size == 7000


def digest_of(fleet: Fleet, number: int) -> bytes:
    with fleet.reading() as connection:
        digest: bytes = connection.execute(tables.crash.select().filter_by(id=number)).one().bundle
    return digest
