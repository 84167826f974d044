"""Uploads one blob in chunks and goes on where it was cut (OCI distribution spec, "Pushing a blob in chunks").

How far it is the registry tells, to the byte. Docker's of version 2 cannot: when a part of a chunk has arrived, the
offset in the upload's URL is not the file's size, and it cancels the upload (distribution 2.8, ``ResumeBlobUpload``;
version 3 looks at the file). There the blob begins again, unless a proxy before it passes whole requests only, as
nginx does: then a chunk is lost.
"""

import mmap
import re

from corebox.registry.client import Client
from corebox.registry.faults import TransientError
from corebox.registry.moving import Moving
from corebox.store.values import Descriptor

#: Bytes: what a cut costs at most. Registries sync each chunk to their disk, so that smaller ones take longer.
CHUNK = 32 << 20
_FIRST_CHUNK = 8 << 20
#: The registry does not know the upload any more, or does not agree about how far it is.
_LOST = (400, 404, 416)


def next_chunk(sent: int) -> int:
    """The length of the chunk after the first ``sent`` bytes, if there are as many.

    The first is small: so the registry has something to do at once, while the rest is still being written.
    """
    return CHUNK if sent else _FIRST_CHUNK


class Upload:
    """One blob on its way: all of it at once, or while it is still being written.

    Args:
        client: of the repository that it goes to.
        moving: of the whole push.
        source: a repository that it may be mounted from, which needs the digest from the beginning.
    """

    def __init__(self, client: Client, moving: Moving, source: str | None = None) -> None:
        self._client = client
        self._moving = moving
        self._source = source
        self._location: str | None = None  # None before it begins and when it was lost
        self._offset = 0
        self._least = 0
        self._reached = 0
        self._tried = False  # to finish it
        self._cut = False

    def send(self, descriptor: int, size: int, blob: Descriptor | None = None) -> bool:
        """Send the whole chunks of the first ``size`` bytes of a file; with ``blob``, which has that size, to its end.

        Returns:
            Whether bytes were sent: the blob may have been mounted.

        Raises:
            HostError: ``registry-unreachable``, ``registry-refused``, ``registry-failed``.
        """
        retrying = self._moving.retrying()
        # Sent from the page cache: a chunk is never in our own memory.
        self._mapped = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
        self._file = memoryview(self._mapped)
        while True:
            reached = self._reached
            try:
                return self._attempt(size, blob)
            except TransientError as cut:
                if self._reached > reached:
                    retrying.renew()
                retrying.wait(cut)

    def _attempt(self, size: int, blob: Descriptor | None) -> bool:
        """Begin or go on; return whether bytes were sent."""
        if self._tried and blob is not None and self._client.has_blob(blob.digest):
            return True  # the answer to the last request was cut, not the request
        self._tried = blob is not None
        if self._location is None or (self._cut and not self._resume(self._location, size)):
            self._location, least = self._client.begin_upload(blob.digest if blob else "", self._source)
            if self._location is None:
                return False
            self._least, self._offset = least, 0
        self._cut = True
        while size - self._offset > (chunk := max(next_chunk(self._offset), self._least)):
            self._send(self._location, chunk)
        if blob is not None:
            self._finish(self._location, blob)
        self._cut = False
        return True

    def _resume(self, location: str, size: int) -> bool:
        """Ask how far the upload is; False if it is lost."""
        self._location = None
        answer = self._client.call("GET", location, "push", expect=(200, 204, *_LOST))
        match = re.fullmatch(r"(?:bytes=)?0-([0-9]{1,15})", answer.headers.get("Range", ""))
        if answer.status in _LOST or match is None:
            return False
        end = int(match[1])
        self._offset = end + 1 if end else 0  # "0-0" stands for nothing in Docker's registry
        if self._offset > size:
            return False
        self._reached = max(self._reached, self._offset)
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
            raise TransientError(f"the registry lost the upload (HTTP {answer.status})")
        self._location = self._client.absolute(answer.headers.get("Location", ""), location)
        self._count(len(data))

    def _finish(self, location: str, blob: Descriptor) -> None:
        data = self._file[self._offset : blob.size]
        url = f"{location}{'&' if '?' in location else '?'}digest={blob.digest}"
        headers = {"Content-Type": "application/octet-stream"}
        if self._offset:
            headers["Content-Range"] = f"{self._offset}-{blob.size - 1}"
        answer = self._client.call("PUT", url, "push", expect=(201, 204, *_LOST), headers=headers, body=data)
        if answer.status in _LOST:
            self._location = None
            raise TransientError(f"the registry did not accept the blob (HTTP {answer.status})")
        self._count(len(data))

    def _count(self, sent: int) -> None:
        self._mapped.madvise(mmap.MADV_DONTNEED)  # what was sent need not stay in our address space
        self._offset += sent
        self._reached = max(self._reached, self._offset)
        self._moving.moved(sent)
