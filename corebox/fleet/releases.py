"""The order of releases, and ranges of them: ``4.1..4.3``, ``4.1..`` and ``..4.3``."""

import re

_RANGE = ".."


def version_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions as ``sort -V`` does: numbers by their value, and ``~`` before everything, also before the end."""
    parts = re.findall(r"[0-9]+|~|[^0-9~]+", name)
    return (*((_rank(part), _value(part), part) for part in parts), (1, 0, ""))


def is_range(text: str) -> bool:
    """Whether more than one release is meant."""
    return _RANGE in text


def in_range(name: str, text: str) -> bool:
    """Whether a release is in the range, whose ends belong to it."""
    first, _, last = text.partition(_RANGE)
    key = version_key(name)
    return (not first or version_key(first) <= key) and (not last or key <= version_key(last))


def _rank(part: str) -> int:
    return 0 if part == "~" else 3 if part[0] in "0123456789" else 2


def _value(part: str) -> int:
    return int(part[:4000]) if part[0] in "0123456789" else 0
