"""Counts, changes between releases and what sets a family apart, on crashes whose facts are known."""

import pytest
from sqlalchemy import text

from corebox.errors import InputError
from corebox.fleet import questions, trends
from corebox.fleet.arrival import Labels
from corebox.fleet.database import Fleet
from corebox.fleet.facts import ModuleFact
from corebox.fleet.questions import Filter
from corebox.fleet.releases import in_range, version_key
from tests.unit.fleet.conftest import AddCrash

_OLD, _NEW = (
    ModuleFact("libssl.so.3", "55110a", "openssl 3.0.11"),
    ModuleFact("libssl.so.3", "55110b", "openssl 3.0.12"),
)


def test_versions_are_in_the_order_of_sort() -> None:
    names = ["", "1.0~rc1", "1.0", "1.0.1", "1.2", "1.10", "2"]
    assert sorted({*names}, key=version_key) == names
    assert [name for name in names if in_range(name, "1.0..1.2")] == ["1.0", "1.0.1", "1.2"]
    assert [name for name in names if in_range(name, "1.10..")] == ["1.10", "2"]
    version_key("9" * 100_000 + "\u0663")  # from a customer


@pytest.fixture
def releases(add: AddCrash) -> None:
    """Four releases: a family in all, one that ended with 1.1, one that came with 1.10, one that came back with it."""
    for release in ("1.0", "1.1", "1.2", "1.10"):
        for family in {"1.0": "aeb", "1.1": "ae", "1.2": "a", "1.10": "acb"}[release]:
            add(Labels("acme", "ordersd", release), family=family, signature=family)
    add(Labels("acme", "other", "9"), family="c", signature="c")


def test_what_changes_with_a_release(fleet: Fleet, releases: None) -> None:
    found = [(each.kind, each.text, each.before, each.since) for each in trends.changes(fleet, "ordersd", "1.10")]
    assert found == [("regressed", "b", 1, 1), ("new", "c", 0, 1), ("gone", "e", 2, 0)]
    assert {each.kind for each in trends.changes(fleet, "ordersd", "1.0")} == {"new"}
    with pytest.raises(InputError, match="no release 7 of ordersd"):
        trends.changes(fleet, "ordersd", "7")


def test_crashes_are_counted(fleet: Fleet, releases: None, add: AddCrash) -> None:
    by_release = [(each.key, each.crashes) for each in trends.counts(fleet, "release", Filter(product="ordersd"))]
    assert by_release == [(("ordersd", name), n) for name, n in (("1.0", 3), ("1.1", 2), ("1.2", 1), ("1.10", 3))]
    add(crashed=None)
    add(Labels("z", "ordersd", "1.0"), crashed=1_700_006_400)
    days = {each.key: each.crashes for each in trends.counts(fleet, "day")}
    assert days == {(None,): 1, (1_699_920_000,): 10, (1_700_006_400,): 1}
    assert [each.key for each in trends.counts(fleet, "customer")] == [("acme",), ("z",)]


def test_a_range_of_releases_and_a_package(fleet: Fleet, releases: None, add: AddCrash) -> None:
    assert len(questions.find(fleet, Filter(product="ordersd", release="1.1..1.2"))) == 3
    assert len(questions.find(fleet, Filter(product="ordersd", release="1.2.."))) == 4
    number = add(modules=(_OLD,))
    for package, expected in (("openssl 3.0.11", [number]), ("openssl*", [number]), ("openssl", [])):
        assert [each.id for each in questions.find(fleet, Filter(package=package))] == expected


def test_what_sets_a_family_apart_is_no_chance(fleet: Fleet, add: AddCrash) -> None:
    """Family a has the old library in 20 of 20 crashes, the others in 4 of 40; the customer is the same for all."""
    for number in range(20):
        add(family="a", signature="a", modules=(_OLD,), system=f"system {number}")
    for number in range(40):
        add(family="b", signature="b", modules=(_OLD if number < 4 else _NEW,), system=f"system {number}")
    (trait,) = trends.apart(fleet, 1)
    assert (trait.kind, trait.value) == ("module", "libssl.so.3 openssl 3.0.11 55110a")
    assert (trait.crashes, trait.of, trait.others, trait.others_of) == (20, 20, 4, 40)
    assert 0.3 < trait.excess < 0.9
    with pytest.raises(InputError, match="no family 9"):
        trends.apart(fleet, 9)


def test_a_customer_and_a_release_are_named(fleet: Fleet, add: AddCrash) -> None:
    for number in range(20):
        add(Labels("z", "ordersd", "2.0"), family="a", signature=f"a{number % 3}")
        add(Labels("acme", "ordersd", "1.0"), family="b", signature="b")
        add(Labels("acme", "loader", "2.0"), family="c", signature="c")  # another product does not count
    found = {(each.kind, each.value, each[2:6]) for each in trends.apart(fleet, 1)}
    assert found == {("customer", "z", (20, 20, 0, 20)), ("release", "2.0", (20, 20, 0, 20))}


def test_of_few_crashes_nothing_is_said(fleet: Fleet, add: AddCrash) -> None:
    add(family="a", signature="a", modules=(_OLD,))
    assert trends.apart(fleet, 1) == []  # there is nothing to compare with
    add(family="b", signature="b", modules=(_NEW,))
    assert trends.apart(fleet, 1) == []


def test_newcombe() -> None:
    """56 of 70 against 48 of 80: 0.0524 to 0.3339 (Newcombe 1998, table II)."""
    assert round(trends._least_excess(56, 70, 48, 80, 1.959964), 4) == 0.0524


def test_the_views(fleet: Fleet, releases: None) -> None:
    with fleet.reading() as connection:
        (row,) = connection.execute(text("SELECT * FROM crashes WHERE id = 1")).mappings()
        assert (row["customer"], row["release"], row["state"], row["family_name"]) == ("acme", "1.0", "reported", "a")
        for view, column in (("crash_functions", "function"), ("crash_modules", "module")):
            names = connection.scalars(text(f"SELECT {column} FROM {view} WHERE crash = 1")).all()
            assert "copy_order" in names or "libc.so.6" in names
