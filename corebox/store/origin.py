"""Files outside the store that it knows as long as nobody touches them: a reference where a copy would be gigabytes."""

import os
from collections.abc import Iterable
from pathlib import Path

from corebox.store.store import Store

_KIND = "origin"


def stat_of(files: Iterable[Path]) -> list[list[int]]:
    """What tells whether files are still the same ones, untouched."""
    return [[each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns] for each in map(os.stat, files)]


def note_origin(store: Store, identity: str, bundle: Path) -> None:
    """Note that ``bundle`` is the one of this identity."""
    store.remember(_KIND, identity, {"path": os.fspath(bundle.absolute()), "stat": stat_of([bundle])})


def known_origin(store: Store, identity: str) -> Path | None:
    """The bundle of this identity, if it still lies where it was when it was read."""
    match store.recall(_KIND, identity):
        case {"path": str(path), "stat": list(stat)} if Path(path).exists() and stat_of([Path(path)]) == stat:
            return Path(path)
    return None
