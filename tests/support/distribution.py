"""A registry in the test's own process: the OCI distribution protocol over HTTP, with faults by switch.

For tests that need no docker-registry: what it refuses or forgets is chosen, and what it was asked is known.
"""

import base64
import hashlib
import http.server
import json
import re
import socket
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from corebox.registry import moving, ranges
from tests.support.serving import Handler, Threaded, running

USER, PASSWORD = "me", "open sesame"
_NAME = r"/v2/(?P<name>[a-z0-9/._-]+)"


@dataclass
class Fault:
    """What happens to the next ``times`` requests of a method whose path holds ``part``.

    Attributes:
        status: of the answer; 0 closes the connection, after ``sent`` bytes of the body.
        headers: of the answer.
        sent: bytes of the answer's body before the connection is closed; None if there is no answer at all.
        body: of the answer.
        late: the request is carried out, and only its answer is lost.
    """

    method: str
    part: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None
    times: int = 1
    body: bytes = b""
    late: bool = False


@dataclass
class Distribution:
    """What the registry holds, how it behaves, and what it was asked.

    Attributes:
        host: its name.
        blobs: bytes by digest; which repository has which is in ``owned``.
        manifests: bytes and media type by repository and tag or digest.
        authorization: ``basic``, ``token``, or nothing.
        ranges: it sends parts of blobs.
        mounts: it takes blobs from another repository.
        catalog: it tells which repositories it has.
        least_chunk: the bytes that a chunk must have.
        elsewhere: blobs are sent from this other place.
        asked: each request's method and path.
        scopes: what tokens were asked for.
    """

    host: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    owned: set[tuple[str, str]] = field(default_factory=set)
    manifests: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    authorization: str = ""
    ranges: bool = True
    mounts: bool = True
    catalog: bool = True
    least_chunk: int = 0
    elsewhere: str = ""
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    scopes: list[list[str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, method: str, part: str = "") -> int:
        """How many requests of a method had a path with ``part`` in it."""
        return sum(each == method and part in path for each, path in self.asked)

    def put(self, repository: str, data: bytes) -> str:
        """Give a repository a blob, and return its digest."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        self.owned.add((repository, digest))
        return digest

    def manifest(self, repository: str, wanted: str) -> dict[str, object]:
        """A manifest that was pushed."""
        value: dict[str, object] = json.loads(self.manifests[repository, wanted][0])
        return value


class _Server(Threaded, http.server.HTTPServer):
    pass


class _Handler(Handler):
    registry: Distribution

    def do_GET(self) -> None:  # noqa: N802  # http.server's name
        self._serve()

    do_HEAD = do_PUT = do_POST = do_PATCH = do_GET  # noqa: N815  # http.server's names

    def _serve(self) -> None:
        self.answered = False
        with suppress(ConnectionError), self.registry.lock:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.registry.asked.append((self.command, self.path))
            fault = self._fault()
            if fault is None or fault.late:
                self._route(body, silent=fault is not None)
            if fault is not None:
                self._fail(fault)

    def _fault(self) -> Fault | None:
        for fault in self.registry.faults:
            if fault.method == self.command and fault.part in self.path and fault.times:
                fault.times -= 1
                return fault
        return None

    def _fail(self, fault: Fault) -> None:
        if fault.status:
            self._answer(fault.status, fault.body, **fault.headers)
            return
        if fault.sent is not None:
            data = self.registry.blobs[self.path.rpartition("/")[2]]
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data[: fault.sent])
            self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        if self.silent:
            return
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    silent = False

    def _route(self, body: bytes, *, silent: bool) -> None:
        self.silent = silent
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        try:
            if url.path == "/token":
                self._token(urllib.parse.parse_qs(url.query).get("scope", []))
            elif not self._is_allowed():
                self._challenge()
            else:
                self._repository(url.path, query, body)
        finally:
            self.silent = False

    # Authorization

    def _password(self) -> str:
        return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def _is_allowed(self) -> bool:
        expected = {"": None, "basic": self._password(), "token": f"Bearer {len(self.registry.scopes)}"}
        return (
            self.registry.authorization == "" or self.headers["Authorization"] == expected[self.registry.authorization]
        )

    def _challenge(self) -> None:
        realm = f'Bearer realm="http://{self.registry.host}/token",service="lab"'
        self._answer(401, WWW_Authenticate=realm if self.registry.authorization == "token" else 'Basic realm="lab"')

    def _token(self, scopes: list[str]) -> None:
        if self.headers["Authorization"] != self._password():
            self._answer(401)
            return
        self.registry.scopes.append(" ".join(scopes).split())
        self._answer(200, json.dumps({"token": str(len(self.registry.scopes))}).encode())

    # Content

    def _repository(self, path: str, query: Mapping[str, str], body: bytes) -> None:
        registry = self.registry
        if path == "/v2/":
            self._answer(200, b"{}")
        elif path == "/v2/_catalog":
            names = sorted({name for name, _ in registry.owned})
            self._answer(200 if registry.catalog else 404, json.dumps({"repositories": names}).encode())
        elif found := re.fullmatch(_NAME + r"/manifests/(?P<wanted>.+)", path):
            self._manifest(found["name"], found["wanted"], body)
        elif found := re.fullmatch(_NAME + r"/blobs/(?P<digest>sha256:[0-9a-f]{64})", path):
            self._blob(found["name"], found["digest"])
        elif found := re.fullmatch(_NAME + r"/blobs/uploads/(?P<upload>[^/]*)", path):
            self._upload(found["name"], found["upload"], query, body)
        else:
            self._answer(404)

    def _manifest(self, name: str, wanted: str, body: bytes) -> None:
        registry = self.registry
        if self.command == "PUT":
            digest = "sha256:" + hashlib.sha256(body).hexdigest()
            for each in (wanted, digest):
                registry.manifests[name, each] = body, self.headers["Content-Type"]
            self._answer(201, Docker_Content_Digest=digest)
            return
        data, kind = registry.manifests.get((name, wanted), (b"", ""))
        self._answer(200 if data else 404, data, Content_Type=kind or "text/plain")

    def _blob(self, name: str, digest: str) -> None:
        registry = self.registry
        data = registry.blobs.get(digest)
        if data is None or (name, digest) not in registry.owned:
            self._answer(404)
        elif registry.elsewhere and self.command == "GET":
            self._answer(307, Location=f"{registry.elsewhere}{self.path}")
        elif (asked := re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", self.headers.get("Range", ""))) and registry.ranges:
            start, end = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
            self._answer(206, data[start : end + 1], Content_Range=f"bytes {start}-{end}/{len(data)}")
        else:
            self._answer(200, data)

    def _upload(self, name: str, upload: str, query: Mapping[str, str], body: bytes) -> None:
        registry = self.registry
        here = f"/v2/{name}/blobs/uploads/{upload}"
        if self.command == "POST":
            source, digest = query.get("from", ""), query.get("mount", "")
            if registry.mounts and (source, digest) in registry.owned:
                registry.owned.add((name, digest))
                self._answer(201, Location=f"/v2/{name}/blobs/{digest}")
                return
            upload = f"{len(registry.asked)}"
            registry.uploads[upload] = bytearray()
            least = str(registry.least_chunk)
            self._answer(202, Location=f"/v2/{name}/blobs/uploads/{upload}?state=x", OCI_Chunk_Min_Length=least)
            return
        data = registry.uploads.get(upload)
        offset = int(self.headers.get("Content-Range", "0-").partition("-")[0])
        if data is None:
            self._answer(404)
        elif self.command == "GET":
            self._answer(204, Location=here + "?state=y", Range=f"0-{max(0, len(data) - 1)}")
        elif (self.headers.get("Content-Range") and offset != len(data)) or (
            self.command == "PATCH" and len(body) < registry.least_chunk
        ):
            self._answer(416)
        else:
            data += body
            self._finished(name, upload, query.get("digest", ""), here)

    def _finished(self, name: str, upload: str, digest: str, here: str) -> None:
        registry = self.registry
        data = registry.uploads[upload]
        if self.command == "PATCH":
            self._answer(202, Location=here + "?state=z", Range=f"0-{len(data) - 1}")
            return
        del registry.uploads[upload]
        if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            self._answer(400, json.dumps({"errors": [{"code": "DIGEST_INVALID", "message": "wrong"}]}).encode())
            return
        registry.put(name, bytes(data))
        self._answer(201, Location=f"/v2/{name}/blobs/{digest}")


@contextmanager
def distribution() -> Iterator[Distribution]:
    """A registry for the length of the block."""
    registry = Distribution()
    handler = type("Handler", (_Handler,), {"registry": registry})

    server = _Server(("127.0.0.1", 0), handler)
    registry.host = f"127.0.0.1:{server.server_port}"
    with running(server):
        yield registry


def quick(folder: Path, monkeypatch: pytest.MonkeyPatch, pauses: int = 3) -> None:
    """No credentials but those in ``folder``, and no waiting in the pauses between attempts."""
    monkeypatch.setenv("DOCKER_CONFIG", str(folder / "docker"))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    for module in (moving, ranges):
        monkeypatch.setattr(module, "DELAYS", (0.0,) * pauses)
