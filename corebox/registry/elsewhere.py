"""Finds a repository of the registry that has a blob already, so that it is mounted from there and not sent.

The toolbox is most of a first push, and on a registry with crashes it is there. What there is, a registry may tell
(``_catalog``, which many do not); whether a repository has a blob that we may read, a HEAD request tells.
"""

import contextlib
import threading
import time

from corebox.errors import HostError
from corebox.registry.access import Access
from corebox.registry.client import Client
from corebox.registry.faults import TransientError
from corebox.registry.reference import Reference, is_repository

#: Bytes from which on a blob is worth looking for.
MIN_SIZE = 1 << 20
#: Seconds that a push looks for blobs, in all: sending them takes about as long.
_TIME_LIMIT = 5.0
_MAX_COUNT = 512
#: Repositories that one token is asked for.
_AT_ONCE = 32


class OtherRepositories:
    """The other repositories of the registry of ``reference``; what cannot be asked has nothing."""

    def __init__(self, reference: Reference, access: Access) -> None:
        self._reference = reference
        self._access = access
        self._lock = threading.Lock()
        self._repositories: list[str] | None = None
        self._left = _TIME_LIMIT

    def find(self, digest: str) -> str | None:
        """A repository with the blob that we may read; None if there is none, or nobody tells."""
        with self._lock:
            began = time.monotonic()
            try:
                return self._find(digest, began + self._left)
            except (TransientError, HostError):
                self._repositories = []
                return None
            finally:
                self._left -= time.monotonic() - began

    def _find(self, digest: str, deadline: float) -> str | None:
        repositories = self._others()
        for number in range(0, len(repositories), _AT_ONCE):
            some = repositories[number : number + _AT_ONCE]
            with Client(self._reference, self._access, "pull", some) as client:
                for name in some:
                    if time.monotonic() > deadline:
                        return None
                    with contextlib.suppress(HostError):  # it is not for us
                        if client.has_blob(digest, name):
                            # The next blob is most likely there, too.
                            repositories.remove(name)
                            repositories.insert(0, name)
                            return name
        return None

    def _others(self) -> list[str]:
        """All repositories but our own, those of the same team first."""
        if self._repositories is None:
            with Client(self._reference, self._access, "pull", catalog=True) as client:
                names = client.repositories(_MAX_COUNT)
            ours = self._reference.repository
            found = [name for name in names if name != ours and is_repository(name)]
            self._repositories = sorted(found, key=lambda name: name.partition("/")[0] != ours.partition("/")[0])
        return self._repositories
