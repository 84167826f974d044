"""Downloads from repositories into the store's cache: bounded in size, in time and in how often they lead elsewhere.

What has a digest is kept under it and never asked for again; the rest is asked for with what its server said of the
version at hand (RFC 9110, 13.1). What nobody uses is removed by ``corebox prune``, as all of the cache.
"""

import hashlib
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from corebox.errors import HostError
from corebox.locate.repositories.packages import Digest, PackageFile
from corebox.store.store import Store
from corebox.web import HTTPError, PoolManager, Response, Retry, Timeout, is_loopback, open_pool

_FOLDER = "repositories"
_CONNECT, _SILENCE, _MAX_LENGTH = 10.0, 30.0, 900.0  # seconds
_PARALLEL = 6
_BLOCK = 1 << 18
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_HEADER = 1024
_NOTES = "repository"
#: What a server says of a version, and how it is asked for another.
_VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


class WrongDigestError(Exception):
    """What a server sent is not what its index says."""


class Downloads:
    """Fetches files; any thread may use it.

    Args:
        store: where they are kept.
        progress: is told what is being fetched.
    """

    def __init__(self, store: Store, progress: Callable[[str], None] = lambda _: None) -> None:
        self._store = store
        self._progress = progress
        self._pools: dict[str, PoolManager] = {}
        self._lock = threading.Lock()
        #: Bytes that were sent to us.
        self.received = 0

    def exact(self, url: str, digest: Digest, most: int) -> Path | None:
        """The file with this digest; None if the server does not have it.

        Raises:
            HostError: ``repository-unreachable``.
            WrongDigestError: the server has another file there.
        """
        name = f"{_FOLDER}/sha256/{digest.sha256}"
        kept = self._store.cached(name)
        if kept.exists():
            return kept
        with self._store.workplace() as work:
            found = self._fetch(url, work / "file", min(most, digest.size if digest.size is not None else most))
            if found is None:
                return None
            if found != digest.sha256:
                raise WrongDigestError(f"{url} is not what the index says")
            return self._store.cache(name, work / "file")

    def packages(self, wanted: Sequence[PackageFile], most: int) -> list[Path | WrongDigestError | None]:
        """The files of packages, several at a time, in order; an error of one is in its place."""

        def one(package: PackageFile) -> Path | WrongDigestError | None:
            try:
                return self.package(package, most)
            except WrongDigestError as error:
                return error

        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(one, wanted))

    def package(self, package: PackageFile, most: int) -> Path | None:
        """The file of a package; raises as ``exact``."""
        if package.digest is not None:
            return self.exact(package.url, package.digest, most)
        key = hashlib.sha256(f"{package.url} {package.proof}".encode()).hexdigest()
        name = f"{_FOLDER}/checked/{key}"
        kept = self._store.cached(name)
        if kept.exists():
            return kept
        with self._store.workplace() as work:
            if self._fetch(package.url, work / "file", most) is None:
                return None
            if package.check is None or not package.check(work / "file", package.proof):
                raise WrongDigestError(f"{package.url} is not what the index says")
            return self._store.cache(name, work / "file")

    def latest(self, url: str, most: int) -> Path | None:
        """What the server has now; what it had the last time if it has not changed, or does not answer.

        Raises:
            HostError: ``repository-unreachable``.
        """
        name = f"{_FOLDER}/urls/{hashlib.sha256(url.encode()).hexdigest()}"
        kept = self._store.cached(name)
        known = (self._store.recall(_NOTES, url) or {}) if kept.exists() else {}
        query = {header: str(known[said]) for said, header in _VALIDATORS.items() if said in known}
        with self._store.workplace() as work:
            try:
                answer = self._request(url, query)
            except HostError:
                if kept.exists():
                    self._progress(f"{urlsplit(url).hostname} does not answer: its earlier answer is used")
                    return kept
                raise
            try:
                if answer.status == 304 and kept.exists():
                    return kept
                if self._write(answer, url, work / "file", most) is None:
                    return None
                said = {each: answer.headers.get(each, "")[:_MAX_HEADER] for each in _VALIDATORS}
            finally:
                answer.close()
            self._store.remember(_NOTES, url, {each: value for each, value in said.items() if value})
            return self._store.cache(name, work / "file")

    def _fetch(self, url: str, into: Path, most: int) -> str | None:
        answer = self._request(url, {})
        try:
            return self._write(answer, url, into, most)
        finally:
            answer.close()

    def _write(self, answer: Response, url: str, into: Path, most: int) -> str | None:
        """Write what comes, and return its SHA-256; None where nothing is."""
        if answer.status in (400, 403, 404, 410):  # caches and object stores say them of what they lack
            return None
        if answer.status != 200:
            raise _unreachable(url, f"HTTP {answer.status}")
        self._progress(f"fetching {url}")
        digest, size, begun = hashlib.sha256(), 0, time.monotonic()
        with into.open("wb") as out:
            try:
                for block in answer.stream(_BLOCK):
                    size += len(block)
                    if size > most:
                        raise _unreachable(url, f"it is larger than {most} bytes")
                    if time.monotonic() - begun > _MAX_LENGTH:
                        raise _unreachable(url, f"it is not complete after {_MAX_LENGTH:.0f} s")
                    digest.update(block)
                    out.write(block)
            except HTTPError as error:
                raise _unreachable(url, str(error)) from error
        length = answer.headers.get("Content-Length")
        if length and length != str(size):
            raise _unreachable(url, "the connection was lost")
        with self._lock:
            self.received += size
        return digest.hexdigest()

    def _request(self, url: str, headers: dict[str, str]) -> Response:
        """The answer after at most some redirects, of which none leads from TLS to none, or to this machine."""
        here = url
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._ask(here, headers)
            target = answer.headers.get("Location") if answer.status in _REDIRECTS else None
            if target is None:
                return answer
            answer.close()
            before, here = urlsplit(here), urljoin(here, target)
            parts = urlsplit(here)
            if parts.scheme not in ("http", "https") or (before.scheme == "https" and parts.scheme == "http"):
                raise _unreachable(url, f"it leads to {here}, which is not followed")
            if is_loopback(parts.netloc) and not is_loopback(before.netloc):
                raise _unreachable(url, "it leads to this machine, which is not followed")
        raise _unreachable(url, "it leads elsewhere over and over")

    def _ask(self, url: str, headers: dict[str, str]) -> Response:
        try:
            return self._pool(url).request(
                "GET",
                url,
                preload_content=False,
                decode_content=False,
                redirect=False,
                headers={"Accept-Encoding": "identity", "User-Agent": "corebox", **headers},
                retries=Retry(2, redirect=0, other=0, backoff_factor=0.2, respect_retry_after_header=False),
            )
        except (HTTPError, OSError, ValueError) as error:
            raise _unreachable(url, str(error)) from error

    def _pool(self, url: str) -> PoolManager:
        parts = urlsplit(url)
        key = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            if key not in self._pools:
                self._pools[key] = open_pool(
                    parts.scheme,
                    parts.netloc.rpartition("@")[2],
                    timeout=Timeout(connect=_CONNECT, read=_SILENCE),
                    maxsize=_PARALLEL,
                    ssl_context=ssl.create_default_context() if parts.scheme == "https" else None,
                )
            return self._pools[key]


def _unreachable(url: str, why: str) -> HostError:
    host = urlsplit(url).hostname
    return HostError(
        "repository-unreachable",
        f"cannot fetch {url}: {why:.300}",
        f"check that {host} is a repository and answers: curl -I {url}; or leave the place out",
    )
