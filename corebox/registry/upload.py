"""Uploads one blob in chunks and goes on where it was cut (OCI distribution spec, "Pushing a blob in chunks").

A registry may forget an upload, and the blob begins again: Docker's (distribution 2.8, ``ResumeBlobUpload``) does when
a part of a chunk has arrived, so there only what was cut between two chunks goes on.
"""

import mmap
import re
from pathlib import Path

from corebox.registry.client import Client
from corebox.registry.faults import Cut
from corebox.registry.moving import Moving
from corebox.store import Descriptor

#: Bytes. Registries sync each chunk to their disk, which costs more than what a cut costs to send again.
CHUNK = 32 << 20
#: The registry does not know the upload any more, or does not agree about how far it is.
_LOST = (400, 404, 416)


def upload_blob(client: Client, blob: Descriptor, path: Path, source: str | None, moving: Moving) -> bool:
    """Upload the file at ``path``, or mount it from the repository ``source``.

    Returns:
        Whether bytes were sent.

    Raises:
        HostError: ``registry-unreachable``, ``registry-refused``, ``registry-failed``.
    """
    with path.open("rb") as file:
        # Sent from the page cache: a chunk is never in our own memory.
        upload = _Upload(client, blob, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), source, moving)
        patience = moving.patience()
        while True:
            reached = upload.reached
            try:
                return upload.attempt()
            except Cut as cut:
                if upload.reached > reached:
                    patience.renew()
                patience.wait(cut)


class _Upload:
    """The state of an upload: its URL, None before it begins and when it was lost, and how far it is."""

    def __init__(self, client: Client, blob: Descriptor, file: mmap.mmap, source: str | None, moving: Moving) -> None:
        self._client = client
        self._blob = blob
        self._mapped = file
        self._file = memoryview(file)
        self._source = source
        self._moving = moving
        self._location: str | None = None
        self._offset = 0
        self._chunk = CHUNK
        self.reached = 0
        self._tried = False

    def attempt(self) -> bool:
        """Begin or go on, to the end; return whether bytes were sent."""
        if self._tried and self._client.has_blob(self._blob.digest):
            return True  # the answer to the last request was cut, not the request
        self._tried = True
        if self._location is None or not self._resume(self._location):
            self._location, least = self._client.begin_upload(self._blob.digest, self._source)
            if self._location is None:
                return False
            self._chunk, self._offset = max(CHUNK, least), 0
        while self._blob.size - self._offset > self._chunk:
            self._send(self._location, self._chunk)
        self._finish(self._location)
        return True

    def _resume(self, location: str) -> bool:
        """Ask how far the upload is; False if it is lost."""
        self._location = None
        answer = self._client.call("GET", location, "push", expect=(200, 204, *_LOST))
        match = re.fullmatch(r"(?:bytes=)?0-([0-9]{1,15})", answer.headers.get("Range", ""))
        if answer.status in _LOST or match is None:
            return False
        end = int(match[1])
        self._offset = end + 1 if end else 0  # "0-0" stands for nothing in Docker's registry
        if self._offset > self._blob.size:
            return False
        self._location = self._client.absolute(answer.headers.get("Location", ""), location)
        return True

    def _send(self, location: str, size: int) -> None:
        data = self._file[self._offset : self._offset + size]
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{self._offset}-{self._offset + len(data) - 1}",
        }
        answer = self._client.call("PATCH", location, "push", expect=(202, *_LOST), headers=headers, body=data)
        if answer.status in _LOST:
            raise Cut(f"the registry lost the upload (HTTP {answer.status})")
        self._location = self._client.absolute(answer.headers.get("Location", ""), location)
        self._count(len(data))

    def _finish(self, location: str) -> None:
        data = self._file[self._offset : self._blob.size]
        url = f"{location}{'&' if '?' in location else '?'}digest={self._blob.digest}"
        headers = {"Content-Type": "application/octet-stream"}
        if self._offset:
            headers["Content-Range"] = f"{self._offset}-{self._blob.size - 1}"
        answer = self._client.call("PUT", url, "push", expect=(201, 204, *_LOST), headers=headers, body=data)
        if answer.status in _LOST:
            self._location = None
            raise Cut(f"the registry did not take the blob (HTTP {answer.status})")
        self._count(len(data))

    def _count(self, sent: int) -> None:
        self._mapped.madvise(mmap.MADV_DONTNEED)  # what was sent need not stay in our address space
        self._offset += sent
        self.reached = max(self.reached, self._offset)
        self._moving.moved(sent)
