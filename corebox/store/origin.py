"""Files outside the store that it knows as long as nobody touches them: a reference where a copy would be gigabytes."""

import os
from pathlib import Path

from corebox.store.files import stat_of
from corebox.store.store import ORIGIN, Store


def note_origin(store: Store, digest: str, bundle: Path) -> None:
    """Note that the layer of this digest came out of ``bundle``."""
    store.remember(ORIGIN, digest, {"path": os.fspath(bundle.absolute()), "stat": stat_of([bundle])})


def known_origin(store: Store, digest: str) -> Path | None:
    """The bundle that the layer came out of, if it still lies where it was when it was read."""
    match store.recall(ORIGIN, digest):
        case {"path": str(path), "stat": list(stat)} if Path(path).exists() and stat_of([Path(path)]) == stat:
            return Path(path)
    return None
