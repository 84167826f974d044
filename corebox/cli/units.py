"""Numbers with a unit on the command line: times and sizes."""

import re

from corebox.errors import UsageError

_TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZES = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def seconds(option: str, text: str) -> int:
    """How long: 12h, 30d.

    Raises:
        UsageError: ``bad-number``.
    """
    return _number(option, text, _TIMES, "30d")


def size(option: str, text: str) -> int:
    """How many bytes: 500M, 20G.

    Raises:
        UsageError: ``bad-number``.
    """
    return _number(option, text, _SIZES, "20G")


def _number(option: str, text: str, units: dict[str, int], example: str) -> int:
    match = re.fullmatch(rf"([0-9]{{1,15}})([{''.join(units)}])", text)
    if match is None:
        hint = f"give a number and one of {', '.join(units)}: {option} {example}"
        raise UsageError("bad-number", f"{option} {text} is not a number with a unit", hint)
    return int(match[1]) * units[match[2]]
