"""A fleet as an agent sees it: found by what crashes have in common, opened by the names that are found."""

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from corebox.errors import UsageError
from corebox.fleet.database import Fleet
from corebox.fleet.decisions import note_opened
from corebox.fleet.questions import Filter, bundle, find

_SCHEME = "fleet:"
_MOST = 500


class OfferedFleet:
    """What ``corebox.mcp`` asks of an archive."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def bundle(self, name: str) -> Path | None:
        """That of ``fleet:17``; it is noted that an agent opens it.

        Raises:
            InputError: ``not-in-fleet``, ``bundle-gone``.
            HostError: ``database-unusable``.
        """
        number = name.removeprefix(_SCHEME)
        if number == name or not (number.isascii() and number.isdecimal()):
            return None
        found = bundle(self._fleet, int(number))
        note_opened(self._fleet, int(number), "bundle opened for an agent")
        return found

    def find(self, asked: dict[str, str]) -> Iterator[str]:
        """A line for each crash.

        Raises:
            UsageError: ``wrong-usage`` for a time that is none.
            HostError: ``database-unusable``.
        """
        given: dict[str, Any] = {**asked, "since": _moment(asked["since"]) if "since" in asked else None}
        rows = find(self._fleet, Filter(**given), _MOST)
        for row in rows:
            when = "-" if row.crashed is None else datetime.fromtimestamp(row.crashed, timezone.utc).date().isoformat()
            labels = " ".join(each for each in (row.product, row.release, row.customer) if each)
            yield f"{_SCHEME}{row.id} {when} {labels}: {row.family or row.state}"
        if len(rows) == _MOST:
            yield f"only the newest {_MOST} are listed; ask for less"
        if not rows:
            yield "no such crashes"


def _moment(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())
    except (ValueError, OverflowError):
        raise UsageError("wrong-usage", f"{text} is not a day", "write 2026-11-30") from None
