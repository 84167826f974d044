"""Sends a bundle to a server while it is made, resumed when interrupted, so that no disk at the site has to hold it.

By tus 1.0 (https://tus.io/protocols/resumable-upload) with its extension creation-defer-length: how long a bundle will
be is known when it is finished. A server keeps what it has received; what it has not confirmed is kept here.
"""

import base64
import contextlib
import itertools
import os
import socket
import threading
import time
from http.client import HTTPException
from typing import Any, Callable, Mapping, NamedTuple, Optional
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from corebox.bundle.write import WrittenBundle
from corebox.errors import HostError, UsageError
from corebox.printable import printable

#: The environment variable with the token that a server may want, as ``Authorization: Bearer`` has it.
TOKEN = "COREBOX_UPLOAD_TOKEN"  # noqa: S105 -- the name of one
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
#: What is sent at a time, and held in memory until it is confirmed.
_CHUNK = 8 << 20
_TIMEOUT = 60.0
#: Seconds without progress after which the upload fails, and between two tries.
_PATIENCE = 600.0
_FIRST_PATIENCE = 10.0  # with a server that has not answered once
_FIRST_PAUSE, _MAX_PAUSE = 0.5, 30.0
#: Seconds that an upload which is given up may take to tell the server.
_LAST_WORDS = 5.0
_MAX_NUMBER_LENGTH = 19
#: Answers that another try may change: too many requests, locked by an earlier try, and the server's own troubles.
_TEMPORARY = (408, 409, 423, 425, 429, 500, 502, 503, 504)


class Upload(NamedTuple):
    """Where to: the server's address, and the name that the bundle gets there."""

    url: str
    name: str


class _Cut(Exception):  # noqa: N818 -- no failure yet
    """The connection or the server failed in a way that may pass."""


def require_upload_url(url: str) -> None:
    """Refuse what is no address of a server; a token goes nowhere without TLS, but to this machine.

    Raises:
        UsageError: ``bad-upload-url``.
    """
    parts = urlsplit(url)
    plain = parts.scheme == "http" and (
        not os.environ.get(TOKEN) or parts.hostname in ("localhost", "127.0.0.1", "::1")
    )
    if not parts.hostname or parts.username is not None or not (parts.scheme == "https" or plain):
        raise UsageError(
            "bad-upload-url",
            "{} is no address to upload to".format(printable(url)),
            "give one like https://HOST/files/; the token goes into the environment variable {}".format(TOKEN),
        )


def upload_bundle(upload: Upload, stream: Callable[[int], WrittenBundle]) -> WrittenBundle:
    """Upload what ``stream`` writes to the descriptor that it is given; the path of what is returned is the address.

    Raises:
        HostError: ``upload-failed``; and what ``stream`` raises, then the server is asked to drop what it has.
    """
    reading, writing = os.pipe()
    sender = _Sender(upload, reading)
    sender.start()
    written: Optional[WrittenBundle] = None
    failure: Optional[BaseException] = None
    try:
        written = stream(writing)
        sender.complete = True
    except HostError as error:
        failure = error  # that the pipe is closed, if the sender has failed
    finally:
        os.close(writing)
        sender.end()
    failure = sender.failure or failure
    if failure or not written:
        raise failure or HostError("upload-failed", "the upload was stopped", "start it again")
    return written._replace(path=sender.location, size=sender.sent)


class _Sender(threading.Thread):
    """Reads the bundle from a pipe and sends it; ``complete`` is set before the end of the pipe if it is all."""

    def __init__(self, upload: Upload, reading: int) -> None:
        super().__init__(daemon=True)
        self._upload = upload
        self._reading = reading
        self.complete = False
        self.failure: Optional[BaseException] = None
        self._stopped = threading.Event()
        self.location = ""
        self.sent = 0

    def end(self) -> None:
        """Wait until all is sent; if the bundle is not complete, for some seconds only."""
        if self.complete:
            self.join()
        else:
            self._stopped.set()
            self.join(_LAST_WORDS)

    def run(self) -> None:
        try:
            with os.fdopen(self._reading, "rb") as source:
                self._send_all(source)
        except BaseException as error:  # noqa: BLE001 -- raised again in the main thread
            self.failure = error

    def _send_all(self, source: Any) -> None:
        server = _Server(self._upload.url, self._stopped)
        self.location = server.create(self._upload.name)
        chunk = source.read(_CHUNK)
        while chunk:
            following = source.read(_CHUNK)
            if not following and not self.complete:
                break
            last = None if following else self.sent + len(chunk)
            server.send(self.location, self.sent, chunk, last)
            self.sent += len(chunk)
            chunk = following
        if not self.complete:
            server.drop(self.location)


class _Server:
    """Requests to one server; each is tried again for as long as that may help."""

    def __init__(self, url: str, stopped: threading.Event) -> None:
        self._url = url
        self._stopped = stopped
        self._opener = build_opener(_NoRedirect())
        self._headers = {"Tus-Resumable": "1.0.0"}
        if os.environ.get(TOKEN):
            self._headers["Authorization"] = "Bearer " + os.environ[TOKEN]

    def create(self, name: str) -> str:
        """Begin an upload; returns its address."""
        metadata = "filename " + base64.b64encode(os.fsencode(name)).decode("ascii")
        headers = {"Upload-Defer-Length": "1", "Upload-Metadata": metadata, "Content-Length": "0"}
        answer = self._patiently(lambda: self._ask("POST", self._url, headers), _FIRST_PATIENCE)
        location: str = urljoin(self._url, answer.get("Location") or "")
        if urlsplit(location)[:2] != urlsplit(self._url)[:2] or location == self._url:
            raise self._failed("it names no address on the same server for the upload")
        return location

    def send(self, location: str, offset: int, data: bytes, total: Optional[int]) -> None:
        """Send the bytes at ``offset``; ``total`` with the last."""
        confirmed = 0
        tries = itertools.count()

        def attempt() -> None:
            nonlocal confirmed
            if next(tries):
                there = self._ask("HEAD", location, {})
                confirmed = _number(there.get("Upload-Offset")) - offset
                if not 0 <= confirmed <= len(data):
                    raise self._failed("it has lost what it had confirmed")
                if confirmed == len(data) and (total is None or there.get("Upload-Length") == str(total)):
                    return
            headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset + confirmed)}
            if total is not None:
                headers["Upload-Length"] = str(total)
            answer = self._ask("PATCH", location, headers, data[confirmed:])
            if _number(answer.get("Upload-Offset")) != offset + len(data):
                raise _Cut("it took a part only")

        self._patiently(attempt, _PATIENCE)

    def drop(self, location: str) -> None:
        """Ask the server to forget the upload; not all can."""
        with contextlib.suppress(_Cut, HostError):
            self._ask("DELETE", location, {})

    def _patiently(self, act: Callable[[], Any], patience: float) -> Any:
        began, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            try:
                return act()
            except _Cut as error:
                if time.monotonic() - began > patience:
                    raise self._failed(str(error)) from error
            if self._stopped.wait(pause):
                raise self._failed("it was stopped")
            pause = min(2 * pause, _MAX_PAUSE)

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], data: Optional[bytes] = None
    ) -> Mapping[str, str]:
        """The headers of the answer; raises _Cut for what may pass, HostError for what will not."""
        # The address was looked at: it is http or https.
        request = Request(url, data, dict(self._headers, **headers), method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                found: Mapping[str, str] = answer.headers
                return found
        except HTTPError as error:
            error.close()
            if error.code in _TEMPORARY:
                raise _Cut("it answers {}".format(error.code)) from error
            raise self._failed("it answers {} to {}".format(error.code, method)) from error
        except URLError as error:
            raise _Cut(str(error.reason)) from error
        except (OSError, HTTPException, socket.timeout) as error:
            raise _Cut(str(error) or "the connection was cut") from error

    def _failed(self, why: str) -> HostError:
        return HostError(
            "upload-failed",
            "the upload to {} failed: {}".format(printable(self._url), printable(why[:200])),
            "look at the address, {}, and that the server speaks tus with creation-defer-length; or write a file with"
            " -o and send that".format(TOKEN),
        )


class _NoRedirect(HTTPRedirectHandler):
    """Who redirects us could take the token elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _number(text: Optional[str]) -> int:
    if text is None or not text.isdigit() or len(text) > _MAX_NUMBER_LENGTH:
        raise _Cut("its answer lacks the offset")
    return int(text)
