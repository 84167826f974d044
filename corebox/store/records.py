"""Notes that save work: small JSON objects under a kind and a key. Losing one costs time, never correctness."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from corebox.store.files import write_atomically
from corebox.store.values import Json

#: The member of a note that says which digests it is about.
_NEEDS = "needs"
_DAY = 86400.0
_KEPT = 180 * _DAY  # seconds after the last use


def _path_of(directory: Path, kind: str, key: str) -> Path:
    return directory / kind / (hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest() + ".json")


def remember(directory: Path, kind: str, key: str, value: Json, needs: Iterable[str], scratch: Path) -> None:
    """Write the note, which is of no use without the digests that it ``needs``."""
    path = _path_of(directory, kind, key)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    note = {**value, _NEEDS: list(needs)} if needs else value
    write_atomically(path, json.dumps(note, sort_keys=True).encode(), scratch)


def recall(directory: Path, kind: str, key: str) -> Json | None:
    """The note, or None if there is none that can be read."""
    path = _path_of(directory, kind, key)
    note = _read(path)
    if note is None:
        return None
    if time.time() - path.stat().st_mtime > _DAY:
        os.utime(path)  # what is used stays
    return _value(note)


def forget(directory: Path, kind: str, is_stale: Callable[[Json], bool]) -> None:
    """Remove the notes of a kind that are stale, and those that cannot be read."""
    for path in (directory / kind).glob("*.json"):
        note = _read(path)
        if note is None or is_stale(_value(note)):
            path.unlink(missing_ok=True)


def all_notes(directory: Path, kind: str) -> list[Json]:
    """All notes of a kind that can be read."""
    paths = sorted((directory / kind).glob("*.json"))
    return [_value(note) for path in paths if (note := _read(path)) is not None]


def prune(directory: Path, kept: Container[object]) -> None:
    """Remove the notes that need a digest which is not ``kept``, those not used for long, and unreadable ones."""
    for path in directory.glob("*/*.json"):
        note = _read(path)
        needs = note.get(_NEEDS, []) if note is not None else None
        is_old = time.time() - path.stat().st_mtime > _KEPT
        if is_old or not isinstance(needs, list) or not all(isinstance(each, str) and each in kept for each in needs):
            path.unlink(missing_ok=True)


def _value(note: Json) -> Json:
    return {name: value for name, value in note.items() if name != _NEEDS}


def _read(path: Path) -> Json | None:
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None
