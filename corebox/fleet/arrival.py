"""A bundle arrives: its bytes and its row are on disk before anybody is told that it is here."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sqlalchemy import select, update

from corebox.actions.source import needs_identity
from corebox.errors import InputError
from corebox.files.temporary import temporary_directory
from corebox.fleet import tables
from corebox.fleet.database import Fleet
from corebox.fleet.facts import MAX_TEXT_LENGTH
from corebox.fleet.rows import ensure
from corebox.store.files import explained
from corebox.unbundle.read import is_bundle

_PIECE = 1 << 20


class Labels(NamedTuple):
    """What the core itself does not tell: whose crash it is, of what, and where it came from."""

    customer: str = ""
    product: str = ""
    release: str = ""
    source: str | None = None


class Received(NamedTuple):
    """A crash that is in the fleet; ``seen`` is how often it has arrived."""

    crash: int
    seen: int


def receive(
    fleet: Fleet, path: Path, labels: Labels, done: Callable[[int], None] = lambda _: None, *, ours: bool = False
) -> Received:
    """Take a copy of the bundle ``path`` and make its row; a file that is here already is counted.

    Args:
        fleet: where it goes.
        path: the bundle.
        labels: see there; an empty product is later the program's name.
        done: told the bytes as they are copied.
        ours: whether nobody else has the file, so that it gets another name instead of a copy.

    Raises:
        InputError: ``no-such-file``, ``cannot-read``, ``not-a-bundle``, ``encrypted``.
        HostError: ``no-space``, ``database-unusable``.
    """
    _require_bundle(path)
    depot = fleet.folder / "bundles"
    with explained(fleet.folder):
        depot.mkdir(mode=0o700, exist_ok=True)
        with temporary_directory(str(depot)) as folder:
            quarantine = Path(folder) / "bundle"
            digest, size = _take(path, quarantine, done, ours=ours)
            kept = bundle_path(fleet, digest)
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            quarantine.replace(kept)
            _sync(kept.parent)
            _sync(depot)
    return note_arrival(fleet, digest, size, labels)


def bundle_path(fleet: Fleet, digest: bytes) -> Path:
    """Where the bundle with this SHA-256 is kept."""
    name = digest.hex()
    return fleet.folder / "bundles" / name[:2] / f"{name}.corebox"


def _require_bundle(path: Path) -> None:
    if not path.is_file():
        raise InputError("no-such-file", f"{path} does not exist or is not a file", "give bundles: *.corebox")
    if needs_identity(path):
        hint = "decrypt it first: age -d -i KEY FILE, or openssl as the customer's page says"
        raise InputError("encrypted", f"{path} is encrypted: a fleet has no keys", hint)
    if not is_bundle(path):
        hint = "give bundles; make one of a core where it crashed: corebox gather CORE -o crash.corebox"
        raise InputError("not-a-bundle", f"{path} is not a bundle", hint)


def _take(path: Path, to: Path, done: Callable[[int], None], *, ours: bool) -> tuple[bytes, int]:
    """Have the file on disk under the name ``to``; return its SHA-256 and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    linked = ours and _is_linked(path, to)
    to.touch(0o600)
    with path.open("rb") as source, to.open("rb" if linked else "wb") as out:
        for piece in _pieces(source):
            digest.update(piece)
            if not linked:
                out.write(piece)
            size += len(piece)
            done(len(piece))
        out.flush()
        os.fsync(out.fileno())
    return digest.digest(), size


def _is_linked(path: Path, to: Path) -> bool:
    """Give the file another name; not every file system can."""
    try:
        to.hardlink_to(path)
    except OSError:
        return False
    return True


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(_PIECE):
        yield piece


def _sync(folder: Path) -> None:
    """Have the names in the folder on disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def note_arrival(fleet: Fleet, digest: bytes, size: int, labels: Labels) -> Received:
    """Make the row of a bundle that is on disk, or count it, in one transaction.

    Raises:
        HostError: ``database-unusable``.
    """
    crash = tables.crash
    with fleet.writing() as connection:
        customer = ensure(connection, tables.customer, name=labels.customer[:MAX_TEXT_LENGTH])
        known = connection.execute(
            select(crash.c.id, crash.c.seen).filter_by(customer=customer, bundle=digest)
        ).one_or_none()
        if known:
            again = known.seen + 1
            connection.execute(update(crash).where(crash.c.id == known.id).values(seen=again, kept=True))
            return Received(known.id, again)
        release = ensure(
            connection,
            tables.release,
            product=labels.product[:MAX_TEXT_LENGTH],
            name=labels.release[:MAX_TEXT_LENGTH],
        )
        facts = {"bundle": digest, "size": size, "received": int(time.time()), "source": labels.source}
        made = connection.execute(crash.insert().values(customer=customer, release=release, **facts))
    assert made.inserted_primary_key
    return Received(made.inserted_primary_key[0], 1)
