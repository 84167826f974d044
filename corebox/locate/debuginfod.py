"""Debug files and sources from debuginfod servers (debuginfod(8), "WEBAPI"), asked from this process only.

The sandbox has no network. What comes is taken only if its build ID is the one that was asked for. Settings are those
of the client, debuginfod-client-config(7).
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

from corebox.coredump.values import NONE
from corebox.errors import UsageError
from corebox.locate.clientcache import ClientCache, artifact_name, cache_folder
from corebox.locate.index import read_facts
from corebox.locate.wanted import Candidate, Origin, Wanted
from corebox.locate.wantedfiles import Key, WantedFiles, is_build_id
from corebox.web import HTTPError, MaxRetryError, PoolManager, ProxySchemeUnknown, Response, Retry, Timeout, open_pool

Name = TypeVar("Name")

DEBUGINFO, EXECUTABLE = "debuginfo", "executable"
_ELF_KINDS = (DEBUGINFO, EXECUTABLE)
_CONNECT = 10.0  # seconds
_PARALLEL = 6
_BLOCK = 1 << 18
_MAX_REDIRECTS = 5
_MAX_SIZE, _MAX_SOURCE_SIZE = 16 << 30, 64 << 20  # bytes


class Settings(NamedTuple):
    """Of the client: seconds for the first answer and in all (0 for no limit), largest file in bytes, headers to send.

    Attributes:
        urls: servers, in the order in which they are asked.
        cache: folder.
        timeout: seconds without a byte.
        max_time: seconds for one file, 0 for no limit.
        max_size: bytes of one file.
        headers: sent with each request.
    """

    urls: tuple[str, ...]
    cache: Path
    timeout: float = 90
    max_time: float = 0
    max_size: int = _MAX_SIZE
    headers: Mapping[str, str] = MappingProxyType({})


def read_settings(urls: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """The client's settings for these servers.

    Raises:
        UsageError: ``bad-debuginfod`` for an invalid URL or number.
    """
    for url in urls:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise _bad(f"{url} is not the URL of a server")
    try:
        timeout, max_time, max_size = (
            int(environment.get(f"DEBUGINFOD_{name}") or 0) for name in ("TIMEOUT", "MAXTIME", "MAXSIZE")
        )
    except ValueError as error:
        raise _bad(f"a setting is not a number: {error}") from error
    return Settings(
        tuple(urls),
        cache_folder(environment),
        timeout if timeout > 0 else 90,
        max_time,
        min(max_size or _MAX_SIZE, _MAX_SIZE),
        _headers(environment.get("DEBUGINFOD_HEADERS_FILE")),
    )


def _headers(file: str | None) -> dict[str, str]:
    if not file:
        return {}
    try:
        lines = Path(file).read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise _bad(f"cannot read DEBUGINFOD_HEADERS_FILE: {error}") from error
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines) if value}


def _bad(message: str) -> UsageError:
    hint = "give http://HOST[:PORT] or https://HOST; see debuginfod-client-config(7)"
    return UsageError("bad-debuginfod", message, hint)


class _LeaveError(Exception):
    """The server cannot give this file; another one may."""


class Debuginfod:
    """The servers, with the client's cache before them.

    Args:
        settings: whom to ask, and how.
        on_warning: gets a line for each thing that a server should do and does not.
        progress: is told what is being fetched.
    """

    def __init__(
        self,
        settings: Settings,
        on_warning: Callable[[str], None] = lambda _: None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._cache = ClientCache(settings.cache)
        self._on_warning = on_warning
        self._progress = progress
        #: Servers that were asked, and of these the ones that did not answer, which are not waited for again.
        self.asked: set[str] = set()
        self.silent: set[str] = set()
        self.name = " ".join(settings.urls)
        self._came_from: dict[tuple[str, str], str] = {}
        self._pools: dict[str, PoolManager] = {}
        self._lock = threading.Lock()

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """Those of ``wanted_files`` that have a build ID and that a server or the cache has."""
        build_ids = wanted_files.build_ids
        return dict(self._all([(build_id, DEBUGINFO, "") for build_id in build_ids], build_ids))

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """See ``Place``: what servers call ``executable`` is a library, too."""
        by_id = {each.build_id: each for each in wanted if each.build_id and is_build_id(each.build_id)}
        for build_id, path in self._all([(each, EXECUTABLE, "") for each in by_id], list(by_id)):
            url = self._came_from.get((build_id, EXECUTABLE)) or self.name
            yield Candidate(by_id[build_id], path, build_id, Origin(self.name, url=url))

    def find_sources(self, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Path]:
        """The source files that are there, by build ID and absolute path as the debug file has it."""
        return dict(self._all([(build_id, "source", path) for build_id, path in wanted], wanted))

    def _all(self, artifacts: Sequence[tuple[str, str, str]], names: Sequence[Name]) -> list[tuple[Name, Path]]:
        self._cache.clean()
        with ThreadPoolExecutor(_PARALLEL) as pool:
            paths = pool.map(lambda artifact: self._get(*artifact), artifacts)
            return [(name, path) for name, path in zip(names, paths, strict=True) if path]

    def _get(self, build_id: str, kind: str, path: str) -> Path | None:
        name = artifact_name(kind, path)
        if name is None:
            return None
        cached = self._cache.get(build_id, name)
        if cached is not None and self._is_right(cached, build_id, kind):
            return cached
        if self._cache.missed(build_id, name):
            return None
        answers = (self._ask(url, build_id, kind, path, name) for url in self._settings.urls)
        failed = 0
        for there in answers:
            if there:
                return self._cache.get(build_id, name)
            failed += there is None
        if not failed:
            self._cache.miss(build_id, name)
        return None

    def _ask(self, url: str, build_id: str, kind: str, path: str, name: str) -> bool | None:
        """Whether the server has the file, which is then in the cache; None if it cannot be told."""
        try:
            return self._fetch(url, build_id, kind, path, name)
        except (_LeaveError, OSError, ValueError, HTTPError) as error:  # ValueError: leads to no URL
            self._on_warning(f"{urlsplit(url).hostname}: {kind} of {build_id}: {error}")
            return None

    def _fetch(self, url: str, build_id: str, kind: str, path: str, name: str) -> bool:
        if url in self.silent:
            raise _LeaveError("it did not answer earlier")
        self.asked.add(url)
        base = url.rstrip("/")
        place = f"{base if base.endswith('/buildid') else base + '/buildid'}/{build_id}/{kind}{quote(path)}"
        try:
            answer = self._pool(url).request(
                "GET",
                place,
                preload_content=False,
                decode_content=False,
                headers={"Accept-Encoding": "identity", "User-Agent": "corebox", **self._settings.headers},
                retries=Retry(
                    _MAX_REDIRECTS,
                    connect=0,
                    read=1,
                    redirect=_MAX_REDIRECTS,
                    other=0,
                    respect_retry_after_header=False,  # it may say a year
                ),
            )
        except (MaxRetryError, ProxySchemeUnknown):
            self.silent.add(url)
            raise
        try:
            if answer.status == 404:
                return False
            if answer.status != 200:
                raise _LeaveError(f"HTTP {answer.status}")
            size = answer.headers.get("Content-Length") or "unknown size,"
            self._progress(f"fetching {kind} of {build_id}, {size} bytes, from {urlsplit(url).hostname}")
            with self._cache.place(build_id, name) as new:
                self._write(answer, new, self._settings.max_size if kind in _ELF_KINDS else _MAX_SOURCE_SIZE)
                if not self._is_right(new, build_id, kind):
                    raise _LeaveError("it sent a file with another build ID")
            self._came_from[build_id, kind] = place
        finally:
            answer.close()
        return True

    def _write(self, answer: Response, new: Path, most: int) -> None:
        begun, size = time.monotonic(), 0
        with new.open("wb") as out:
            for block in answer.stream(_BLOCK):
                size += len(block)
                if size > most:
                    raise _LeaveError(f"the file is larger than {most} bytes")
                if self._settings.max_time and time.monotonic() - begun > self._settings.max_time:
                    raise _LeaveError("it took too long")
                out.write(block)
        length = answer.headers.get("Content-Length")
        if length and length != str(size):
            raise _LeaveError("the connection was lost")

    def _is_right(self, path: Path, build_id: str, kind: str) -> bool:
        if kind not in _ELF_KINDS:
            return True
        facts = read_facts(path)
        return facts.build_id == build_id and (facts.code if kind == EXECUTABLE else facts.symbols != NONE)

    def _pool(self, url: str) -> PoolManager:
        parts = urlsplit(url)
        with self._lock:
            if url not in self._pools:
                self._pools[url] = open_pool(
                    parts.scheme,
                    parts.netloc.rpartition("@")[2],
                    timeout=Timeout(connect=_CONNECT, read=self._settings.timeout),
                    maxsize=_PARALLEL,
                    ssl_context=ssl.create_default_context() if parts.scheme == "https" else None,
                )
            return self._pools[url]
