"""Tokens: what is asked of the server that a registry names, and what its answers mean. The server is on loopback."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from corebox.errors import CoreboxError, HostError
from corebox.registry.access import Access
from corebox.registry.client import Client
from corebox.registry.credentials import Credentials
from corebox.registry.faults import TransientError
from corebox.registry.reference import parse_reference
from corebox.registry.tokens import answer_challenge

SCOPES = ["repository:team/crash:pull,push", "repository:team/other:pull"]


@dataclass
class TokenServer:
    """Answers every request for a token with ``status`` and ``answer``, and remembers what it was asked."""

    port: int = 0
    public: bool = True
    status: int = 200
    answer: object = field(default_factory=lambda: {"token": "t0ken"})
    asked: list[tuple[str, dict[str, list[str]], str | None]] = field(default_factory=list)

    @property
    def challenge(self) -> str:
        """What a registry would send."""
        return f'Bearer realm="http://127.0.0.1:{self.port}/token",service="registry.corp",scope="ignored"'


@pytest.fixture
def server() -> Iterator[TokenServer]:
    """A running token server."""
    state = TokenServer()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._as_registry()

        def _as_registry(self) -> None:
            """Open for who has a token, unless it is not public."""
            is_open = state.public and self.headers["Authorization"] == "Bearer t0ken"
            self.send_response(200 if is_open else 401)
            self.send_header("WWW-Authenticate", state.challenge)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            if self.path.startswith("/v2/"):
                self._as_registry()
                return
            self._reply(parse_qs(urlsplit(self.path).query))

        def do_POST(self) -> None:
            self._reply(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

        def _reply(self, query: dict[str, list[str]]) -> None:
            state.asked.append((self.command, query, self.headers["Authorization"]))
            data = json.dumps(state.answer).encode()
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        state.port = running.server_address[1]
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield state
        running.shutdown()
        thread.join()


def _answer(challenge: str, credentials: Credentials | None, plain_http: bool = True) -> str:
    with urllib3.PoolManager(retries=False) as pool:
        return answer_challenge(pool, "registry.corp", challenge, SCOPES, credentials, Access(plain_http=plain_http))


def test_a_password_is_changed_for_a_token(server: TokenServer) -> None:
    assert _answer(server.challenge, Credentials("me", "secret")) == "Bearer t0ken"
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    assert server.asked == [("GET", {"service": ["registry.corp"], "scope": SCOPES}, basic)]


def test_without_a_password_the_public_part_is_asked_for(server: TokenServer) -> None:
    server.answer = {"access_token": "public"}
    assert _answer(server.challenge, None) == "Bearer public"
    assert server.asked[0][2] is None


@pytest.mark.parametrize("config", ['{"credsStore": "desktop.exe"}', '{"credsStore": "failing"}', "{"])
def test_what_is_public_needs_no_credentials_that_can_be_read(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    """WSL, CI and moved home folders name helpers that are not there, or do not run."""
    helper = tmp_path / "docker-credential-failing"
    helper.write_text("#!/bin/sh\necho cannot open shared object file; exit 127\n")
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text(config)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    reference = parse_reference(f"127.0.0.1:{server.port}/team/crash:1")
    with Client(reference, Access(), "pull") as client:
        assert client.has_blob("sha256:" + 64 * "0")
    assert server.asked[0][2] is None
    server.public = False
    with pytest.raises(HostError) as raised, Client(reference, Access(), "pull") as client:
        client.has_blob("sha256:" + 64 * "0")
    assert raised.value.code == "credentials-unreadable"


def test_an_identity_token_is_refreshed(server: TokenServer) -> None:
    assert _answer(server.challenge, Credentials(token="identity")) == "Bearer t0ken"
    method, form, authorization = server.asked[0]
    assert (method, authorization) == ("POST", None)
    assert form["refresh_token"] == ["identity"]
    assert form["scope"] == [" ".join(SCOPES)]


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (401, {}, "registry-refused"),
        (403, {}, "registry-refused"),
        (200, {}, "registry-failed"),
        (200, [], "registry-failed"),
    ],
)
def test_what_is_no_token_is_told(server: TokenServer, status: int, answer: object, code: str) -> None:
    server.status, server.answer = status, answer
    with pytest.raises(CoreboxError) as raised:
        _answer(server.challenge, Credentials("me", "secret"))
    assert raised.value.code == code
    assert "secret" not in raised.value.message


def test_no_password_is_sent_without_tls(server: TokenServer) -> None:
    with pytest.raises(CoreboxError):
        _answer(server.challenge, Credentials("me", "secret"), plain_http=False)
    assert server.asked == []


@pytest.mark.parametrize("challenge", ["", "Negotiate", "Bearer", 'Bearer realm="file:///etc/passwd"', "Digest x"])
def test_a_challenge_that_makes_no_sense(challenge: str) -> None:
    with pytest.raises(CoreboxError) as raised:
        _answer(challenge, Credentials("me", "secret"))
    assert raised.value.code == "registry-failed"


def test_a_server_that_is_away_is_asked_again_later() -> None:
    with pytest.raises(TransientError):
        _answer('Bearer realm="http://127.0.0.1:9/token"', None)


def test_a_server_that_is_overloaded_is_asked_again_later(server: TokenServer) -> None:
    server.status = 503
    with pytest.raises(TransientError):
        _answer(server.challenge, None)
