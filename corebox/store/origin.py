"""Files outside the store that it knows as long as nobody touches them: a reference where a copy would be gigabytes."""

import os
from pathlib import Path

from corebox.store.files import stat_of
from corebox.store.store import Store

_KIND = "origin"


def note_origin(store: Store, identity: str, bundle: Path) -> None:
    """Note that ``bundle`` is the one of this identity."""
    store.remember(_KIND, identity, {"path": os.fspath(bundle.absolute()), "stat": stat_of([bundle])})


def known_origin(store: Store, identity: str) -> Path | None:
    """The bundle of this identity, if it still lies where it was when it was read."""
    match store.recall(_KIND, identity):
        case {"path": str(path), "stat": list(stat)} if Path(path).exists() and stat_of([Path(path)]) == stat:
            return Path(path)
    return None
