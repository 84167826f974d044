"""Which layers an engine has, from what it tells."""

from dataclasses import dataclass

import pytest

from corebox.actions.load import known_layers, layers_of
from corebox.store.values import Layer, StoredImage


@dataclass(frozen=True)
class Case:
    """What an engine tells, and which of the layers a, b and c it has."""

    chains: tuple[str, ...]
    known: str


def image_of(names: str, manifest: str = "m") -> StoredImage:
    """An image of layers with these names."""
    return StoredImage("i", manifest, (), tuple(Layer(each, 1, "system", each.upper()) for each in names), {})


@pytest.mark.parametrize(
    "case",
    [
        Case((), ""),
        Case(("ABC",), "abc"),
        Case(("ABX", "A"), "ab"),
        Case(("XBC", "BC"), ""),
        Case(("ABCD", "AXC"), "abc"),
    ],
    ids=lambda case: ",".join(case.chains) or "nothing",
)
def test_a_layer_is_known_by_all_that_lie_beneath_it(case: Case) -> None:
    assert known_layers({tuple(chain) for chain in case.chains}, image_of("abc")) == set(case.known)


def test_an_engine_has_the_layers_of_the_manifests_that_it_has() -> None:
    ours = [image_of("ab", "first"), image_of("ac", "second"), image_of("ad", "third")]
    assert layers_of({"first", "third", "not ours"}, ours) == set("abd")
    assert layers_of({"not ours"}, ours) == set()
