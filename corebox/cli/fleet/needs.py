"""What a fleet needs that is not installed with corebox itself, and the crashes of a fleet as subjects."""

from importlib.util import find_spec
from pathlib import Path

from corebox.errors import HostError, UsageError

#: A subject that begins so is a crash of the fleet.
SCHEME = "fleet:"


def require_packages() -> None:
    """Refuse if the packages of the extra are not there.

    Raises:
        HostError: ``no-fleet``.
    """
    for name in ("sqlalchemy", "alembic"):
        if find_spec(name) is None:
            raise HostError("no-fleet", f"a fleet needs the package {name}", "pip install 'corebox[fleet]'")


def bundle_of(subject: str) -> Path:
    """The bundle of ``fleet:17``; it is noted that somebody opens it.

    Raises:
        UsageError: ``wrong-usage`` if no number follows.
        InputError: ``not-in-fleet``, ``bundle-gone``.
        HostError: ``no-fleet``, ``database-unusable``.
    """
    number = subject.removeprefix(SCHEME)
    if not number.isdecimal():
        raise UsageError("wrong-usage", f"{subject} names no crash", "give its number: fleet:17; corebox fleet find")
    require_packages()
    from corebox.fleet.database import open_fleet  # noqa: PLC0415  # of an extra
    from corebox.fleet.decisions import note_opened  # noqa: PLC0415
    from corebox.fleet.questions import bundle  # noqa: PLC0415

    fleet = open_fleet()
    found = bundle(fleet, int(number))
    note_opened(fleet, int(number), "bundle opened")
    return found
