"""What each page shows. Whoever sees one customer's crashes is shown nothing that others' went into."""

import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from starlette.requests import Request

from corebox.fleet import decisions, questions, readers, trends
from corebox.fleet.database import Fleet
from corebox.fleet.questions import CrashDetails, Filter
from corebox.fleet.readers import Reader
from corebox.fleet.reporting import page_path
from corebox.printable import counted, printable
from corebox.templates import Markup, PackageLoader, make_environment

STYLE = Path(__file__).parent / "pages" / "style.css"
_DAY = 86400
_LIMIT = 100
_DAYS = 30
_FIELD_CHARACTERS = 500
_MAX_DIGITS = 19  # all numbers with fewer fit into a column


class BadRequestError(Exception):
    """What was asked makes no sense."""


class View(NamedTuple):
    """A page: its kind and title, what a program is told, and what the template needs."""

    kind: str
    title: str
    document: dict[str, Any]
    values: dict[str, Any]


def overview(fleet: Fleet, reader: Reader, _: Request) -> View:
    """The largest families, the new ones, and those that are back."""
    now = int(time.time())
    recent = Filter(since=now - _DAYS * _DAY, customer=reader.customer)
    top = questions.top(fleet, recent)
    new = questions.top(fleet, Filter(customer=reader.customer), new_since=now - 7 * _DAY)
    days = trends.daily(fleet, recent)
    all_days: dict[int, int] = {}
    for each in days.values():
        for day, number in each.items():
            all_days[day] = all_days.get(day, 0) + number
    regressed = None if reader.customer else _regressed(fleet)
    document = {
        "families": [each.to_json() for each in top],
        "new": [each.to_json() for each in new],
        "regressed": regressed,
    }
    values = {"top": top, "new": new, "days": days, "all_days": all_days, "total": sum(all_days.values())}
    return View("overview", "Overview", document, {**values, "regressed": regressed})


def family(fleet: Fleet, reader: Reader, request: Request) -> View:
    """One family."""
    number = number_of(request)
    which = Filter(family=str(number), customer=reader.customer)
    found = questions.top(fleet, which, 1)
    if not found:
        raise questions.no_such_crash(number)
    newest = questions.find(fleet, which, 20)
    by_day = [(_day(each.key[0]), each.crashes, each.seen) for each in trends.counts(fleet, "day", which)]
    by_release = [(*each.key, each.crashes, each.seen) for each in trends.counts(fleet, "release", which)]
    traits = None if reader.customer else trends.apart(fleet, number)
    trail = [] if reader.customer else decisions.audit_trail(fleet, f"family {number}")
    parts = [] if reader.customer else decisions.parts_of(fleet, number)
    values = {
        "family": found[0],
        "newest": newest,
        "frames": questions.show(fleet, newest[0].id).frames,
        "days": trends.daily(fleet, which)[number],
        "parts": parts,
        "trail": trail,
        "by_day": by_day[-_DAYS:],
        "by_release": by_release,
        "traits": None
        if traits is None
        else [
            (
                each.kind,
                f"{each.crashes}/{each.of}",
                f"{each.others}/{each.others_of}",
                f"{each.excess:+.0%}",
                each.value,
            )
            for each in traits
        ],
    }
    document = {
        **found[0].to_json(),
        "days": by_day,
        "by_release": by_release,
        "traits": None if traits is None else [each._asdict() for each in traits],
        "parts": [{"id": part, "text": text} for part, text in parts],
        "audit": [each._asdict() for each in trail],
    }
    return View("family", found[0].name or found[0].text, document, values)


def crash_of(fleet: Fleet, reader: Reader, request: Request) -> CrashDetails:
    """The crash that the address names, if the reader may see it.

    Raises:
        InputError: ``not-in-fleet``.
    """
    number = number_of(request)
    found = questions.show(fleet, number)
    if reader.customer is not None and reader.customer != found.row.customer:
        raise questions.no_such_crash(number)
    return found


def crash(fleet: Fleet, reader: Reader, request: Request) -> View:
    """One crash."""
    found = crash_of(fleet, reader, request)
    row = found.row
    facts = {
        "State": row.state,
        "Failure": found.failure,
        "Customer": row.customer,
        "Product": row.product,
        "Release": row.release,
        "Crashed": _day(row.crashed),
        "Cause": row.cause,
        "Family": row.family,
        "Signature": found.signature,
        "System": found.system,
        "Source": found.source,
        "Seen": found.seen,
    }
    values = {
        "crash": found,
        "facts": [(name, value) for name, value in facts.items() if value],
        "has_report": page_path(fleet, row.id).exists(),
    }
    return View("crash", f"Crash {row.id}: {row.cause or row.state}", found.to_json(), values)


def search(fleet: Fleet, reader: Reader, request: Request) -> View:
    """The crashes that have something in common."""
    given = {name: request.query_params.get(name, "").strip() for name in Filter._fields}
    which = _filter({name: value for name, value in given.items() if value})
    if reader.customer is not None:
        which = which._replace(customer=reader.customer)
    found = questions.find(fleet, which, _LIMIT)
    document = {"crashes": [each.to_json() for each in found]}
    return View("search", "Search", document, {"fields": list(given.items()), "found": found, "limit": _LIMIT})


def backlog(fleet: Fleet, reader: Reader, _: Request) -> View:
    """What waits, and what failed why; of the whole fleet only for those who see all of it."""
    rows = {
        state: questions.find(fleet, Filter(state=state, customer=reader.customer), _LIMIT)
        for state in ("failed", "waiting")
    }
    status = None if reader.customer else questions.status(fleet)
    states = status.crashes if status else {state: len(found) for state, found in rows.items()}
    failures = status.failures if status else {}
    document = {"crashes": states, "failures": failures, **{k: [r.to_json() for r in v] for k, v in rows.items()}}
    values = {"states": list(states.items()), "failures": list(failures.items()), **rows}
    return View("backlog", "Backlog and failures", document, values)


def people(fleet: Fleet, _reader: Reader, _request: Request | None, token: str | None = None) -> View:
    """Who may look, and what was decided and opened; ``token`` is that of a reader who was just added."""
    found, trail = readers.list_readers(fleet), decisions.audit_trail(fleet)
    document = {"readers": [each._asdict() for each in found], "audit": [each._asdict() for each in trail]}
    return View("people", "Readers", document, {"found": found, "trail": trail, "token": token, "roles": readers.ROLES})


def render(view: View, reader: Reader | None = None) -> str:
    """The page."""
    template = _ENVIRONMENT.get_template("page.html")
    return template.render(view=view.kind, title=view.title, reader=reader, **view.values).lstrip()


def _regressed(fleet: Fleet) -> list[tuple[str, str, str, int, int]]:
    return [
        (product, release, each.name or each.text, each.since, each.before)
        for product, release in trends.newest_releases(fleet)[:_LIMIT]
        for each in trends.changes(fleet, product, release)
        if each.kind == "regressed"
    ]


def number_of(request: Request) -> int:
    """The number in the address.

    Raises:
        BadRequestError: it is none.
    """
    return checked_number(request.path_params["number"])


def checked_number(text: str) -> int:
    """The text as a number of a row.

    Raises:
        BadRequestError: it is none.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < _MAX_DIGITS):
        raise BadRequestError
    return int(text)


def checked_text(text: str) -> str:
    """What somebody has typed.

    Raises:
        BadRequestError: it is too long, or cannot be printed.
    """
    if len(text) > _FIELD_CHARACTERS or not text.isprintable():
        raise BadRequestError
    return text


def _filter(given: Mapping[str, str]) -> Filter:
    for value in given.values():
        checked_text(value)
    number = given.get("family", "")
    if given.get("state", "waiting") not in questions.STATES or (number.isdecimal() and len(number) >= _MAX_DIGITS):
        raise BadRequestError
    try:
        times = {
            name: int(datetime.fromisoformat(given[name]).replace(tzinfo=timezone.utc).timestamp())
            for name in ("since", "until")
            if name in given
        }
    except (ValueError, OverflowError) as error:
        raise BadRequestError from error
    return Filter(**{**given, **times})  # type: ignore[arg-type]


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M}"


def _day(seconds: Any) -> str:
    if seconds is None or not 0 <= seconds < 1 << 37:
        return "unknown"
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d}"


def _spark(days: Mapping[int, int]) -> Markup:
    """A line of the last days; the words are for who cannot see it."""
    today = int(time.time()) // _DAY
    values = [days.get(day, 0) if days else 0 for day in range(today - _DAYS + 1, today + 1)]
    most = max(values) or 1
    points = " ".join(f"{4 * index},{18 - 16 * value / most:.1f}" for index, value in enumerate(values))
    words = f"{values[-1]} today, at most {max(values)} a day"
    line = '<svg class="spark" width="120" height="20" role="img" aria-label="{}"><polyline points="{}"/></svg>'
    return Markup(line).format(words, points)


_ENVIRONMENT = make_environment(
    loader=PackageLoader("corebox.fleet", "pages"),
    autoescape=True,
    finalize=lambda value: printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
)
_ENVIRONMENT.globals.update(counted=counted)
_ENVIRONMENT.filters.update(day=_day, moment=_moment, spark=_spark)
