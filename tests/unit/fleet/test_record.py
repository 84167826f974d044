"""What is noted of crashes, and what is not noted twice."""

from sqlalchemy import func, select

from corebox.fleet import questions, tables
from corebox.fleet.database import Fleet
from corebox.fleet.facts import ModuleFact
from corebox.fleet.record import record_failure
from tests.unit.fleet.conftest import AddCrash


def count(fleet: Fleet, name: str) -> int:
    with fleet.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(tables.metadata.tables[name])) or 0)


def test_what_many_crashes_have_is_stored_once(fleet: Fleet, add: AddCrash) -> None:
    for _ in range(5):
        add()
    once = ("stack", "module_set", "signature", "family", "release", "customer")
    assert {name: count(fleet, name) for name in once} == dict.fromkeys(once, 1)
    assert (count(fleet, "function"), count(fleet, "module"), count(fleet, "crash")) == (3, 2, 5)


def test_the_order_of_modules_makes_no_other_set(fleet: Fleet, add: AddCrash) -> None:
    one, two = ModuleFact("a.so", "01", ""), ModuleFact("b.so", "02", "")
    add(modules=(one, two))
    add(modules=(two, one, one))
    assert count(fleet, "module_set") == 1


def test_the_same_crash_in_another_file_is_counted(fleet: Fleet, add: AddCrash) -> None:
    first = add(identity="ab" * 32)
    add(identity="ab" * 32)
    assert [each.id for each in questions.find(fleet)] == [first]
    assert questions.show(fleet, first).seen == 2


def test_a_failure_is_told_and_goes_with_the_next_report(fleet: Fleet, add: AddCrash) -> None:
    number = add()
    record_failure(fleet, 99, "no-answer", "nobody")  # forgotten meanwhile
    with fleet.writing() as connection:
        connection.execute(tables.crash.update().values(reporter=None))
    record_failure(fleet, number, "time-limit", "no answer within 300 s")
    assert questions.status(fleet).failures == {"time-limit": 1}
    assert questions.show(fleet, number).failure == "no answer within 300 s"
