"""Reads parts of a blob by range requests (OCI distribution spec, "Pulling blobs"; RFC 9110, section 14)."""

import time

from corebox.errors import HostError
from corebox.registry.client import Client
from corebox.registry.faults import TransientError, unreachable
from corebox.registry.moving import DELAYS
from corebox.store.values import Descriptor
from corebox.web import HTTPError, Response

_PIECE = 1 << 16


class RangesRefused(Exception):  # noqa: N818 - the answer of a server, and no error of ours
    """The registry, or where it keeps its blobs, sends all of a blob or none of it."""


class BlobRanges:
    """Parts of ``blob``; threads may share it.

    Args:
        client: of the repository that has it.
        blob: see there.
        time_limit: seconds for one part, all attempts together.
    """

    def __init__(self, client: Client, blob: Descriptor, time_limit: float = 45.0) -> None:
        self._client = client
        self._blob = blob
        self._time_limit = time_limit

    def read_at(self, offset: int, size: int) -> bytes:
        """The ``size`` bytes at ``offset``; nothing has been checked.

        Raises:
            RangesRefused: ranges are not served.
            HostError: ``registry-unreachable``, ``registry-refused``, ``registry-failed``.
        """
        latest = time.monotonic() + self._time_limit
        delays = iter(DELAYS)
        while True:
            try:
                return self._attempt(offset, size, latest)
            except TransientError as cut:  # noqa: PERF203 - each waits for a server
                wait = max(next(delays, self._time_limit), cut.wait)
                if time.monotonic() + wait > latest:
                    raise unreachable(self._client.host, cut) from cut
                time.sleep(wait)

    def _attempt(self, offset: int, size: int, latest: float) -> bytes:
        headers = {"Range": f"bytes={offset}-{offset + size - 1}"}
        url = self._client.url(f"blobs/{self._blob.digest}")
        answer = self._client.call("GET", url, "send a blob", expect=(200, 206, 416), headers=headers, stream=True)
        wanted = answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-{offset + size - 1}/")
        if answer.status != 206 or not wanted:
            answer.close()
            raise RangesRefused(f"{self._client.host} does not send parts of a blob (HTTP {answer.status})")
        return self._read(answer, size, latest)

    def _read(self, answer: Response, size: int, latest: float) -> bytes:
        data = bytearray()
        try:
            while len(data) < size and (piece := answer.read(min(_PIECE, size - len(data)))):
                data += piece
                if time.monotonic() > latest:
                    raise _too_slow(self._client.host)
            if len(data) == size:
                answer.drain_conn()  # so that its connection can be used again
        except HTTPError as error:
            raise TransientError(f"{type(error).__name__} while downloading") from error
        finally:
            answer.release_conn() if len(data) == size else answer.close()
        if len(data) < size:
            raise TransientError("the connection ended early")
        return bytes(data)


def _too_slow(host: str) -> HostError:
    return unreachable(host, "it sends too slowly")
