"""What a fleet answers about crashes whose facts are known."""

import pytest

from corebox.errors import InputError
from corebox.fleet import questions
from corebox.fleet.arrival import Labels
from corebox.fleet.database import Fleet
from corebox.fleet.facts import ModuleFact
from corebox.fleet.questions import Filter
from tests.unit.fleet.conftest import AddCrash


@pytest.fixture
def three(add: AddCrash) -> list[int]:
    """Two crashes of one family, with two customers and releases, and one of another."""
    return [
        add(),
        add(Labels("other", "", "1.1"), modules=(ModuleFact("libssl.so.3", "55110a", "openssl 3.0.11"),)),
        add(
            family="assertion(n > 0) in resize",
            signature="SIGABRT assertion(n > 0) in resize",
            signal="SIGABRT",
            cause="Assertion failed: n > 0 (100%)",
            functions=("abort", "resize", "resize_all"),
        ),
    ]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Filter(), [0, 1, 2]),
        (Filter(function="copy_order"), [0, 1]),
        (Filter(function="resize*"), [2]),
        (Filter(function="resize_"), []),
        (Filter(function="*"), [0, 1, 2]),
        (Filter(module="libssl.so.3"), [1]),
        (Filter(module="lib*"), [0, 1, 2]),
        (Filter(build_id="C0FF"), [0, 2]),
        (Filter(build_id="c0ff", module="ordersd"), []),
        (Filter(customer="other"), [1]),
        (Filter(customer="nobody"), []),
        (Filter(product="ordersd", release="1.1"), [1]),
        (Filter(since=1_700_000_002), [1, 2]),
        (Filter(until=1_700_000_002), [0]),
        (Filter(signal="SIGABRT"), [2]),
        (Filter(family="null-dereference in copy_order"), [0, 1]),
        (Filter(family="1"), [0, 1]),
        (Filter(text="null POINTER"), [0, 1]),
        (Filter(text="100%"), [2]),
        (Filter(text="1_0%"), []),
        (Filter(state="reported"), [0, 1, 2]),
        (Filter(state="waiting"), []),
    ],
)
def test_the_crashes_that_are_meant(fleet: Fleet, three: list[int], which: Filter, expected: list[int]) -> None:
    assert sorted(each.id for each in questions.find(fleet, which)) == [three[index] for index in expected]


def test_the_newest_crash_is_first(fleet: Fleet, three: list[int], add: AddCrash) -> None:
    without_time = add(crashed=None)
    assert [each.id for each in questions.find(fleet)] == [*reversed(three), without_time]
    assert [each.id for each in questions.find(fleet, limit=1)] == [three[2]]


def test_the_largest_family_is_first(fleet: Fleet, three: list[int]) -> None:
    first, second = questions.top(fleet)
    assert (first.text, first.crashes, first.customers, first.releases) == ("null-dereference in copy_order", 2, 2, 2)
    assert (first.first, first.last) == (1_700_000_001, 1_700_000_002)
    assert (second.crashes, second.seen) == (1, 1)
    assert [each.text for each in questions.top(fleet, Filter(signal="SIGABRT"))] == ["assertion(n > 0) in resize"]


def test_a_crash_is_shown_with_its_stack_and_modules(fleet: Fleet, three: list[int]) -> None:
    found = questions.show(fleet, three[1])
    assert found.frames == ("memcpy", "copy_order", "main")
    assert [tuple(each) for each in found.modules] == [("libssl.so.3", "55110a", "openssl 3.0.11")]
    assert (found.row.product, found.row.release, found.row.state) == ("ordersd", "1.1", "reported")
    with pytest.raises(InputError, match="no crash 99") as caught:
        questions.show(fleet, 99)
    assert caught.value.code == "not-in-fleet"


def test_how_a_fleet_stands(fleet: Fleet, three: list[int]) -> None:
    found = questions.status(fleet)
    assert found.crashes == {"waiting": 0, "reported": 3, "failed": 0}
    assert (found.seen, found.size, found.families, found.failures) == (3, 3000, 2, {})


def test_an_empty_fleet_has_answers(fleet: Fleet) -> None:
    assert (questions.top(fleet), questions.find(fleet)) == ([], [])
    assert questions.status(fleet).crashes == {"waiting": 0, "reported": 0, "failed": 0}


def test_the_bundle_of_a_crash_that_was_removed(fleet: Fleet, three: list[int]) -> None:
    with pytest.raises(InputError) as caught:
        questions.bundle(fleet, three[0])  # the test has put no file there
    assert caught.value.code == "bundle-gone"
