"""Which of many crashes are the same: their reports, grouped by signature."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from corebox.actions.report import report
from corebox.actions.shell import ShellOptions
from corebox.actions.subject import Subject
from corebox.image import ensure_toolbox
from corebox.report import Report
from corebox.store import Store


@dataclass(frozen=True)
class Group:
    """Crashes with one signature; ``cause`` is that of the first, None if gdb could not tell."""

    signature: str
    cause: str | None
    names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A group of ``schema/similar-1.schema.json``."""
        return {**vars(self), "names": list(self.names)}


def similar(
    store: Store,
    subjects: Iterable[tuple[str, Subject]],
    time_limit: float,
    options: ShellOptions,
    jobs: int,
    done: Callable[[str], None] = lambda _: None,
) -> list[Group]:
    """Group crashes, given with their names; the largest group comes first.

    Args:
        store: where images are built.
        subjects: the crashes.
        time_limit: seconds that gdb has for each.
        options: as for ``report``.
        jobs: how many are looked at at a time.
        done: told the name of each when it is done.

    Raises:
        CoreboxError: those of ``report``, the first that occurs.
    """

    def look(crash: tuple[str, Subject]) -> Report:
        name, subject = crash
        made = report(store, subject, name, time_limit, options)
        done(name)
        return made

    groups: dict[str, list[Report]] = {}
    # Made once, not by each thread; nor is sysconfig, which finds its parts, to be used for the first time by several.
    ensure_toolbox(store)
    with ThreadPoolExecutor(jobs) as pool:
        for made in pool.map(look, subjects):
            groups.setdefault(made.signature, []).append(made)
    found = []
    for signature, reports in groups.items():
        why = reports[0].answer.why
        found.append(Group(signature, why.sentence if why else None, tuple(each.name for each in reports)))
    return sorted(found, key=lambda group: (-len(group.names), group.signature))
