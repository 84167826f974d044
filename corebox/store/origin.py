"""Files outside the store that it knows as long as nobody touches them: a reference where a copy would be gigabytes."""

import os
from pathlib import Path

from corebox.store.files import stat_of
from corebox.store.store import Store

_ORIGIN = "origin"


def note_origin(store: Store, digest: str, file: Path) -> None:
    """Note that the layer of this digest came out of ``file``."""
    store.remember(_ORIGIN, digest, {"path": os.fspath(file.absolute()), "stat": stat_of([file])}, [digest])


def known_origin(store: Store, digest: str) -> Path | None:
    """The file that the layer came out of, if it still lies where it was when it was read."""
    match store.recall(_ORIGIN, digest):
        case {"path": str(path), "stat": list(stat)} if Path(path).exists() and stat_of([Path(path)]) == stat:
            return Path(path)
    return None
