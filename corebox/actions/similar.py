"""Which of many crashes are the same: grouped by the families or the signatures of their reports."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from corebox.actions.report import report, require_stack
from corebox.actions.session import SessionOptions
from corebox.actions.subject import Found
from corebox.errors import CoreboxError, InputError
from corebox.image.toolbox import ensure_toolbox
from corebox.store.store import Store

# Further errors that say nothing about the other crashes.
_OF_THIS_CRASH = ("time-limit", "no-identity", "encryption-failed")


#: What may be in common: the first function and what happened there, or the whole signature.
LEVELS = ("family", "signature")


class Group(NamedTuple):
    """Crashes with one family, or with one signature.

    Attributes:
        family: what they share, if they are grouped so; else the family of the signature.
        signatures: each with the crashes that have it, the most frequent first.
        causes: each sentence with how often it is the cause; None where there is none.
        names: all crashes of the group.
    """

    family: str
    signatures: tuple[tuple[str, tuple[str, ...]], ...]
    causes: tuple[tuple[str | None, int], ...]
    names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A group of ``schema/similar-1.schema.json``."""
        return {
            "family": self.family,
            "signatures": [{"signature": text, "names": list(names)} for text, names in self.signatures],
            "causes": [{"cause": cause, "count": count} for cause, count in self.causes],
            "names": list(self.names),
        }


class Failure(NamedTuple):
    """A crash that could not be read."""

    name: str
    error: CoreboxError

    def to_json(self) -> dict[str, Any]:
        """One of the failed in ``schema/similar-1.schema.json``."""
        return {"name": self.name, "code": self.error.code, "message": self.error.message}


class _Look(NamedTuple):
    name: str
    family: str
    signature: str
    cause: str | None


def similar(
    store: Store,
    names: Sequence[str],
    find: Callable[[str], Found],
    time_limit: float,
    options: SessionOptions,
    jobs: int,
    by: str = "family",
    done: Callable[[str], None] = lambda _: None,
) -> tuple[list[Group], list[Failure]]:
    """Group crashes; the largest group comes first. One that cannot be looked at does not keep the others from it.

    Args:
        store: where images are built.
        names: the crashes.
        find: tells what a name means.
        time_limit: seconds that gdb has for each.
        options: as for ``report``.
        jobs: how many are looked at at a time.
        by: what crashes of a group have in common, one of LEVELS.
        done: told the name of each when it is done.

    Raises:
        HostError: those of ``report``, but for what concerns one crash alone: this machine can look at none.
    """

    def look(name: str) -> _Look | Failure:
        try:
            made = report(store, find(name), name, time_limit, options).report
            require_stack(made)
        except CoreboxError as error:
            if isinstance(error, InputError) or error.code in _OF_THIS_CRASH:
                return Failure(name, error)
            raise
        done(name)
        # A report may be of many megabytes; of a thousand crashes only so much is kept.
        cause = made.answer.why.sentence if made.answer.why else None
        return _Look(name, made.known.family, made.signature, cause)

    # Made once, not by each thread; nor is sysconfig, which finds its parts, to be used for the first time by several.
    ensure_toolbox(store)
    groups: dict[str, list[_Look]] = {}
    failures: list[Failure] = []
    with ThreadPoolExecutor(jobs) as pool:
        for found in pool.map(look, names):
            if isinstance(found, Failure):
                failures.append(found)
            else:
                groups.setdefault(found.family if by == "family" else found.signature, []).append(found)
    made = [_group(looks) for looks in groups.values()]
    return sorted(made, key=lambda group: (-len(group.names), group.family, group.signatures)), failures


def _group(looks: list[_Look]) -> Group:
    signatures: dict[str, list[str]] = {}
    for each in looks:
        signatures.setdefault(each.signature, []).append(each.name)
    often = sorted(signatures.items(), key=lambda item: (-len(item[1]), item[0]))
    causes = Counter(each.cause for each in looks)
    return Group(
        looks[0].family,
        tuple((text, tuple(names)) for text, names in often),
        tuple(causes.most_common()),
        tuple(each.name for each in looks),
    )
