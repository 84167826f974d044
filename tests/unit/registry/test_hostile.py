"""What registries and their token servers may answer: at any length, and leading anywhere."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.errors import CoreboxError
from corebox.registry.access import Access
from corebox.registry.client import Client
from corebox.registry.elsewhere import OtherRepositories
from corebox.registry.faults import TransientError
from corebox.registry.push import push_image
from corebox.registry.reference import parse_reference
from corebox.store.store import Store
from tests.support.answering import Handler, send, serving
from tests.support.images import put_random_image

Answer = Callable[[Handler], None]
PASSWORD = base64.b64encode(b"me:secret").decode()
DEEP = b"[" * 60_000


@pytest.fixture(autouse=True)
def _credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has logged in to the registry at ``here``, and has no proxy."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)


def pull(url: str, tmp_path: Path) -> bytes:
    """Ask the registry for a manifest."""
    host = url.removeprefix("http://")
    (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": PASSWORD}}}))
    with Client(parse_reference(f"{host}/a/b:1"), Access(), "pull") as client:
        return client.get_manifest("1", ["text/plain"])[0]


def endless(status: int, **headers: str) -> Answer:
    """Zeros for as long as anybody listens."""

    def answer(handler: Handler) -> None:
        send(handler, b"", status, 1 << 50, **headers)
        while True:
            handler.wfile.write(bytes(1 << 16))

    return answer


def redirecting(location: str) -> Answer:
    return lambda handler: send(handler, b"", 307, Location=location)


def challenging(realm: str) -> Answer:
    return lambda handler: send(handler, b"", 401, WWW_Authenticate=f'Bearer realm="{realm}",service="x"')


def with_token(token: Answer) -> Answer:
    """A registry whose token server is at the same place."""

    def answer(handler: Handler) -> None:
        here = "http://" + handler.headers["Host"]
        (token if handler.path.startswith("/token") else challenging(here + "/token"))(handler)

    return answer


def later(answer: Answer) -> Answer:
    """A registry that opens, and answers so afterwards."""
    return lambda handler: send(handler, b"") if handler.path == "/v2/" else answer(handler)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (later(endless(200)), "digest-mismatch"),
        (endless(400), "registry-failed"),
        (endless(401, WWW_Authenticate="Basic realm=x"), "registry-refused"),
        (endless(302, Location="/v2/"), "registry-failed"),
        (lambda handler: send(handler, DEEP, 400), "registry-failed"),
        *((redirecting(to), "registry-failed") for to in ("http://[", "//[x", "file:///etc/passwd", "http://0.0.0.0/")),
        *((challenging(to), "registry-failed") for to in ("http://[", "file:///etc/passwd", "http://0.0.0.0:9/")),
        (with_token(endless(200)), "registry-failed"),
        (with_token(lambda handler: send(handler, DEEP)), "registry-failed"),
        (with_token(lambda handler: send(handler, b'{"token": "a\\r\\nX: y"}')), "registry-failed"),
        (with_token(lambda handler: send(handler, b'{"token": "\\ud800"}')), "registry-failed"),
        (
            with_token(lambda handler: send(handler, gzip.compress(bytes(64 << 20)), Content_Encoding="gzip")),
            "registry-failed",
        ),
    ],
)
def test_whatever_it_answers_is_told_in_our_words(answer: Answer, code: str, tmp_path: Path) -> None:
    with serving(answer) as (url, _), pytest.raises(CoreboxError) as raised:
        pull(url, tmp_path)
    assert raised.value.code == code
    assert "secret" not in raised.value.message
    assert PASSWORD not in raised.value.message


def test_what_it_has_under_the_name_of_a_push_may_be_anything(tmp_path: Path) -> None:
    """Only that nothing can be sent is told."""
    store = Store(tmp_path / "home")
    image = put_random_image(store, 3 << 20)

    def answer(handler: Handler) -> None:
        send(handler, DEEP if "/manifests/" in handler.path else b"", 200 if handler.command == "GET" else 405)

    with serving(answer) as (url, asked), pytest.raises(CoreboxError) as raised:
        push_image(store, image, parse_reference(f"{url.removeprefix('http://')}/a/b:1"), Access())
    assert raised.value.code == "registry-failed"
    assert "/v2/a/b/manifests/1" in asked


def test_a_body_that_ends_early_is_asked_for_again(tmp_path: Path) -> None:
    with serving(later(lambda handler: send(handler, b"{", length=100))) as (url, _), pytest.raises(TransientError):
        pull(url, tmp_path)


def test_where_a_redirect_leads_nobody_learns_the_password(tmp_path: Path) -> None:
    """Neither by its own header, nor by a challenge that names a server for tokens."""
    seen: list[str | None] = []

    def thief(handler: Handler) -> None:
        seen.append(handler.headers["Authorization"])
        challenging("http://" + handler.headers["Host"] + "/token")(handler)

    with serving(thief) as (theirs, _):

        def registry(handler: Handler) -> None:
            opens = handler.path == "/v2/"
            if opens and not handler.headers["Authorization"]:
                send(handler, b"", 401, WWW_Authenticate="Basic realm=x")
            else:
                (send(handler, b"") if opens else redirecting(theirs)(handler))

        with serving(registry) as (url, _), pytest.raises(CoreboxError) as raised:
            pull(url, tmp_path)
    assert raised.value.code == "registry-failed"
    assert seen == [None]


@pytest.mark.parametrize(
    "catalog",
    [
        b"[]",
        b'{"repositories": 1}',
        b'{"repositories": [1, "../../x", "a/b?mount=x", "UPPER", "' + b"x" * 600 + b'"]}',
        b'{"repositories": ["one/of/them"]}',
        b"\xff" * 100,
        DEEP,
    ],
)
def test_a_catalog_may_say_anything(catalog: bytes) -> None:
    """What it lists is asked for the blob only if it can be a repository."""

    def answer(handler: Handler) -> None:
        if "_catalog" in handler.path:
            send(handler, catalog)
        else:
            send(handler, b"", 404 if "blobs" in handler.path else 200)

    with serving(answer) as (url, asked):
        reference = parse_reference(f"{url.removeprefix('http://')}/a/b:1")
        assert OtherRepositories(reference, Access()).find("sha256:" + 64 * "0") is None
    blobs = [path for path in asked if "blobs" in path]
    assert blobs == ([f"/v2/one/of/them/blobs/sha256:{64 * '0'}"] if b"one/of" in catalog else [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 500, 501])
def test_without_a_catalog_nothing_is_found(status: int) -> None:
    with serving(lambda handler: send(handler, b"", status if "_catalog" in handler.path else 200)) as (url, _):
        reference = parse_reference(f"{url.removeprefix('http://')}/a/b:1")
        assert OtherRepositories(reference, Access()).find("sha256:" + 64 * "0") is None
