"""Uploads that are not complete: each a folder, from which a server that was killed goes on."""

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corebox.errors import HostError, InputError
from corebox.fleet.arrival import Labels, Received, receive
from corebox.fleet.database import Fleet

_NAME = re.compile(r"[A-Za-z0-9_-]{22}")
#: Uploads that nobody has gone on with for so long are dropped.
_ABANDONED_SECONDS = 7 * 86400


class Upload:
    """One upload; ``owner`` is the digest of the token that began it."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._folder = folder
        self._data = folder / "data"

    @property
    def offset(self) -> int:
        """The bytes that are here."""
        return self._data.stat().st_size

    @property
    def owner(self) -> str:
        """See the class."""
        return str(self._about()["owner"])

    @property
    def length(self) -> int | None:
        """All its bytes, once that is known."""
        length: int | None = self._about()["length"]
        return length

    def set_length(self, length: int) -> None:
        """Note how long it is.

        Raises:
            InputError: ``wrong-length`` if that contradicts what is known.
        """
        if self.length not in (None, length) or length < self.offset:
            raise InputError("wrong-length", f"the upload cannot be {length} bytes long", "begin it again")
        self._write({**self._about(), "length": length})

    @contextlib.contextmanager
    def appending(self) -> Iterator[int]:
        """A descriptor that writes at its end; what was written is on disk afterwards, whatever raised."""
        descriptor = os.open(self._data, os.O_WRONLY | os.O_APPEND)
        try:
            yield descriptor
        finally:
            os.fsync(descriptor)
            os.close(descriptor)

    def finish(self, fleet: Fleet, labels: Labels) -> Received:
        """Take the bundle into the fleet, and drop the upload.

        Raises:
            InputError: those of ``receive``; the upload is dropped.
            HostError: those of ``receive``; the upload stays.
        """
        try:
            received = receive(fleet, self._data, labels, ours=True)
        except InputError:
            self.drop()
            raise
        self.drop()
        return received

    def drop(self) -> None:
        """Remove it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _about(self) -> dict[str, Any]:
        about: dict[str, Any] = json.loads((self._folder / "about.json").read_text())
        return about

    def _write(self, about: dict[str, Any]) -> None:
        new = self._folder / "about.new"
        new.write_text(json.dumps(about))
        new.replace(self._folder / "about.json")

    @classmethod
    def begin(cls, folder: Path, owner: str, length: int | None) -> "Upload":
        """A new one in a folder that is made."""
        folder.mkdir(mode=0o700)
        made = cls(folder)
        made._data.touch(0o600)
        made._write({"owner": owner, "length": length})
        return made


class Uploads:
    """The uploads of a fleet; ``keep_free`` bytes of the disk are left to others, ``max_size`` is what one may have."""

    def __init__(self, fleet: Fleet, keep_free: int, max_size: int) -> None:
        self.fleet = fleet
        self._folder = fleet.folder / "uploads"
        self._keep_free, self.max_size = keep_free, max_size

    def begin(self, owner: str, length: int | None) -> Upload:
        """A new upload.

        Raises:
            HostError: ``disk-reserve``.
        """
        self.require_room(length or 0)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._drop_abandoned()
        return Upload.begin(self._folder / secrets.token_urlsafe(16), owner, length)

    def find(self, name: str, owner: str) -> Upload | None:
        """The upload of that name, if the same token began it."""
        if not _NAME.fullmatch(name) or not (self._folder / name / "about.json").is_file():
            return None
        found = Upload(self._folder / name)
        return found if secrets.compare_digest(found.owner, owner) else None

    def require_room(self, size: int) -> None:
        """Refuse what would use up the disk.

        Raises:
            HostError: ``disk-reserve``.
        """
        if shutil.disk_usage(self.fleet.folder).free - size < self._keep_free:
            hint = "free some: corebox fleet forget --older-than DAYS; or lower --keep-free"
            raise HostError("disk-reserve", f"too little space is left in {self.fleet.folder}", hint)

    def _drop_abandoned(self) -> None:
        for folder in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - (folder / "data").stat().st_mtime > _ABANDONED_SECONDS:
                    Upload(folder).drop()
