"""Notes that save work: small JSON objects under a kind and a key. Losing one costs time, never correctness."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from corebox.store.files import write_atomically
from corebox.store.values import Json


def _path_of(directory: Path, kind: str, key: str) -> Path:
    return directory / kind / (hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest() + ".json")


def remember(directory: Path, kind: str, key: str, value: Json, scratch: Path) -> None:
    """Write the note."""
    path = _path_of(directory, kind, key)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomically(path, json.dumps(value, sort_keys=True).encode(), scratch)


def recall(directory: Path, kind: str, key: str) -> Json | None:
    """The note, or None if there is none that can be read."""
    return _read(_path_of(directory, kind, key))


def keep_only(directory: Path, kind: str, keys: Iterable[str]) -> None:
    """Remove the notes of a kind whose keys are not among ``keys``."""
    kept = {_path_of(directory, kind, key) for key in keys}
    for path in (directory / kind).glob("*.json"):
        if path not in kept:
            path.unlink(missing_ok=True)


def forget(directory: Path, kind: str, is_stale: Callable[[Json], bool]) -> None:
    """Remove the notes of a kind that are stale, and those that cannot be read."""
    for path in (directory / kind).glob("*.json"):
        note = _read(path)
        if note is None or is_stale(note):
            path.unlink(missing_ok=True)


def all_notes(directory: Path, kind: str) -> list[Json]:
    """All notes of a kind that can be read."""
    paths = sorted((directory / kind).glob("*.json"))
    return [note for path in paths if (note := _read(path)) is not None]


def _read(path: Path) -> Json | None:
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None
