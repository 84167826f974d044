"""Circles of waits are found in one look at each, whatever waits."""

from corebox.gdbside.why.deadlock import Wait, _circle


def chain(*owners: tuple[int, int]) -> list[Wait]:
    """Waits of threads, each for a mutex of another."""
    return [Wait(number, number, 0x1000, owner, "") for number, owner in owners]


def circle(waits: list[Wait]) -> list[int] | None:
    found = _circle(waits, {each.tid: each for each in waits})
    return None if found is None else [each.number for each in found]


def test_a_circle_is_found_from_outside_it() -> None:
    assert circle(chain((1, 2), (2, 3), (3, 4), (4, 2))) == [2, 3, 4]
    assert circle(chain((1, 2), (5, 5))) == [5]
    assert circle(chain((1, 2), (2, 3))) is None


def test_a_long_chain_is_walked_once() -> None:
    assert circle(chain(*((each, each + 1) for each in range(50_000)))) is None
