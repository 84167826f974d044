"""A fleet as an agent finds crashes in it."""

import pytest

from corebox.errors import InputError, UsageError
from corebox.fleet.arrival import Labels
from corebox.fleet.database import Fleet
from corebox.fleet.offered import OfferedFleet
from tests.unit.fleet.conftest import AddCrash


def test_crashes_are_found_by_what_is_asked(fleet: Fleet, add: AddCrash) -> None:
    add()
    second = add(
        Labels("globex", "ordersd", "2.0"), functions=("parse_header",), family="stack-overflow in parse_header"
    )
    offered = OfferedFleet(fleet)
    assert list(offered.find({"function": "parse*", "since": "2023-11-01"})) == [
        f"fleet:{second} 2023-11-14 ordersd 2.0 globex: stack-overflow in parse_header"
    ]
    assert list(offered.find({"since": "2026-11-30"})) == ["no such crashes"]
    assert len(list(offered.find({}))) == 2
    with pytest.raises(UsageError):
        list(offered.find({"since": "yesterday"}))


@pytest.mark.parametrize("name", ["1", "fleet:", "fleet:-1", "fleet:1/../../x", "fleet:\u0661", "x.corebox"])
def test_nothing_else_names_a_crash(fleet: Fleet, add: AddCrash, name: str) -> None:
    add()
    assert OfferedFleet(fleet).bundle(name) is None


def test_a_name_leads_to_the_bundle(fleet: Fleet, add: AddCrash) -> None:
    number = add()
    with pytest.raises(InputError, match="was removed"):
        OfferedFleet(fleet).bundle(f"fleet:{number}")
    with pytest.raises(InputError, match="no crash 99"):
        OfferedFleet(fleet).bundle("fleet:99")
