"""How well groups agree with the truth: by pairs of crashes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Score(NamedTuple):
    """Of the pairs that were put together, how many belong together; of those that belong together, how many were."""

    precision: float
    recall: float
    groups: int


def score(groups: Iterable[Iterable[str]], truth: Mapping[str, str]) -> Score:
    """Compare groups of names with the true cause of each name; a name in no group is alone."""
    found = [[truth[name] for name in names] for names in groups]
    together = sum(_pairs(len(causes)) for causes in found)
    right = sum(_pairs(count) for causes in found for count in Counter(causes).values())
    belonging = sum(_pairs(count) for count in Counter(truth.values()).values())
    return Score(right / together if together else 1.0, right / belonging if belonging else 1.0, len(found))


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
