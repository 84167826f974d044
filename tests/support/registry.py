"""A real registry: Debian's docker-registry on this machine, with or without a password and TLS; and a bad network."""

import base64
import contextlib
import hashlib
import hmac
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

START_TIMEOUT = 20.0
_PIECE = 1 << 16
USER, PASSWORD = "lab", "open sesame"
_BCRYPT = (
    "$2b$05$sqS/c8G8dXoGneXIBuaxSOJaVKVWBDK7LudVFjIvRFBOlu.tzXaxi"  # of PASSWORD; docker-registry takes bcrypt only
)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Registry:
    """One registry with its data in ``folder``; ``start`` and ``kill`` may be called again and again.

    Attributes:
        htpasswd: a file made by ``write_htpasswd``, if it asks for a password.
        certificate, key: if it speaks TLS.
        secret: signs the state of uploads; without one, a restarted registry knows no upload of before.
    """

    folder: Path
    htpasswd: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    secret: str | None = "the same after a restart"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """Its name."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        assert shutil.which("docker-registry"), "the tests need a registry: apt-get install docker-registry"
        self.folder.mkdir(exist_ok=True)
        config = self.folder / "config.yml"
        config.write_text("\n".join(self._config()))
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._listens():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def _config(self) -> Iterator[str]:
        yield "version: 0.1"
        yield "log: {level: warn}"
        yield f"storage: {{filesystem: {{rootdirectory: {self.folder}/data}}, delete: {{enabled: true}}}}"
        yield f"http:\n  addr: 127.0.0.1:{self.port}"
        if self.secret:
            yield f"  secret: {self.secret}"
        if self.certificate:
            yield f"  tls: {{certificate: {self.certificate}, key: {self.key}}}"
        if self.htpasswd:
            yield f"auth: {{htpasswd: {{realm: lab, path: {self.htpasswd}}}}}"

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def blob(self, digest: str) -> Path:
        """The file in which it keeps a blob (its filesystem driver's layout)."""
        digits = digest.removeprefix("sha256:")
        return self.folder / f"data/docker/registry/v2/blobs/sha256/{digits[:2]}/{digits}/data"

    def asking_the_file(self, request: bytes) -> bytes:
        """Make a question for an upload one that gets the answer of version 3.

        Version 2 takes the offset in the URL for the truth, signed by its secret (``registry/handlers/hmac.go``), and
        cancels the upload if the file has another size; version 3 takes the file's (its pull request 3755).
        """
        asked = re.match(rb"GET /v2/(\S+)/blobs/uploads/([^?/]+)\?_state=(\S+) ", request)
        if asked is None:
            return request
        state = json.loads(base64.urlsafe_b64decode(unquote(asked[3].decode()))[hashlib.sha256().digest_size :])
        repository = self.folder / "data/docker/registry/v2/repositories" / asked[1].decode()
        state["Offset"] = self._settled_size(repository / "_uploads" / asked[2].decode() / "data")
        text = json.dumps(state).encode()
        signature = hmac.digest((self.secret or "").encode(), text, "sha256")
        return request.replace(asked[3], quote(base64.urlsafe_b64encode(signature + text)).encode(), 1)

    def _settled_size(self, path: Path) -> int:
        """The size of a file, when the request that was cut no longer writes to it."""
        assert self.process
        while any(_target(each) == path for each in Path(f"/proc/{self.process.pid}/fd").iterdir()):
            time.sleep(0.01)
        return path.stat().st_size


def _target(link: Path) -> Path | None:
    with contextlib.suppress(FileNotFoundError):  # closed meanwhile
        return link.readlink()
    return None


@contextlib.contextmanager
def running(registry: Registry) -> Iterator[Registry]:
    """Run it for the length of the block."""
    registry.start()
    try:
        yield registry
    finally:
        registry.kill()


def write_htpasswd(folder: Path) -> Path:
    """A password file with USER and PASSWORD."""
    path = folder / "htpasswd"
    path.write_text(f"{USER}:{_BCRYPT}\n")
    return path


def docker_config(folder: Path, config: object) -> dict[str, str]:
    """The environment of a user with this ``config.json`` (a text as it is) and no other credentials."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return {"DOCKER_CONFIG": str(folder), "HOME": str(folder)}


def write_helper(folder: Path, script: str) -> str:
    """A credential helper called ``lab`` that runs this shell script; the PATH on which it is found."""
    folder.mkdir()
    helper = folder / "docker-credential-lab"
    helper.write_text(f"#!/bin/sh\n{script}\n")
    helper.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """A company's CA, and a certificate with its key for 127.0.0.1: (CA, certificate, key)."""
    ca, ca_key, certificate, key = (folder / name for name in ("ca.crt", "ca.key", "site.crt", "site.key"))
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    _quiet([*new, "-subj", "/CN=Company CA", "-keyout", str(ca_key), "-out", str(ca)])
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    issuer = ["-CA", str(ca), "-CAkey", str(ca_key)]
    _quiet([*new, "-subj", "/CN=registry", *names, *issuer, "-keyout", str(key), "-out", str(certificate)])
    return ca, certificate, key


def _quiet(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


class BadNetwork:
    """Forwards connections to ``target``, and cuts all of them each time ``budgets`` more bytes have passed.

    ``edit`` may change what a client sends: pieces of which each request begins a new one; ``passed`` counts all bytes,
    ``connections`` all that were opened.
    """

    def __init__(
        self, target: int, budgets: list[int], edit: Callable[[bytes], bytes] = lambda request: request
    ) -> None:
        self._target = target
        self._edit = edit
        self._budgets = list(budgets)
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.cuts = 0
        self.passed = 0
        self.connections = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "BadNetwork":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._cut()
        for thread in self._threads:
            thread.join(5)
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._connect, near)

    def _start(self, target: Callable[[socket.socket], None], near: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=(near,), daemon=True))
        self._threads[-1].start()

    def _connect(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._target)) as far:
            with self._lock:
                self._open += [near, far]
            back = threading.Thread(target=self._forward, args=(far, near, bytes), daemon=True)
            back.start()
            self._forward(near, far, self._edit)
            back.join()

    def _forward(self, source: socket.socket, sink: socket.socket, edit: Callable[[bytes], bytes]) -> None:
        try:
            while data := source.recv(_PIECE):
                self._spend(len(data))
                sink.sendall(edit(data))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def _spend(self, count: int) -> None:
        with self._lock:
            self.passed += count
            if not self._budgets:
                return
            self._budgets[0] -= count
            if self._budgets[0] > 0:
                return
            self._budgets.pop(0)
            self.cuts += 1
            self._cut()

    def _cut(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()
