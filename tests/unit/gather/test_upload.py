"""A bundle sent while it is made: whole after every cut, and never taken for whole when it is not."""

import base64
import os
from collections.abc import Iterator

import pytest

from corebox.bundle.write import WrittenBundle
from corebox.errors import CoreboxError, HostError, InputError, UsageError
from corebox.gather import upload
from corebox.gather.upload import Upload, require_upload_url, upload_bundle
from tests.support.tus import TusServer, tus_server

DATA = os.urandom(100000)
WRITTEN = WrittenBundle("-", "sha256:00", 0)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TusServer]:
    """A server, and a sender that sends little at a time and loses patience soon."""
    monkeypatch.setattr(upload, "_CHUNK", 30000)
    monkeypatch.setattr(upload, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(upload, "_PATIENCE", 0.3)
    monkeypatch.setattr(upload, "_FIRST_PATIENCE", 0.1)
    monkeypatch.delenv(upload.TOKEN, raising=False)
    with tus_server() as running:
        yield running


def stream(descriptor: int) -> WrittenBundle:
    """What makes a bundle."""
    with os.fdopen(os.dup(descriptor), "wb") as file:
        try:
            file.write(DATA)
            file.flush()
        except BrokenPipeError as error:
            raise HostError("cannot-write", "whoever reads has ended", "look there") from error
    return WRITTEN


def send(server: TusServer) -> WrittenBundle:
    return upload_bundle(Upload(server.url, "app-42.corebox"), stream)


@pytest.mark.parametrize(
    "faults",
    [
        [],
        ["503", "429"],
        ["", "cut", "cut"],
        ["", "part", "", "", "unheard"],
        ["", "", "", "", "unheard", "500", ""],
        ["", "423", "garbage", ""],
    ],
    ids=",".join,
)
def test_the_bundle_is_whole_whatever_happens_on_the_way(server: TusServer, faults: list[str]) -> None:
    server.faults = faults
    written = send(server)
    assert server.data == DATA
    assert server.length == len(DATA)
    assert written == WrittenBundle(server.url + "/1", "sha256:00", len(DATA))
    name = base64.b64encode(b"app-42.corebox").decode()
    assert server.headers["Upload-Metadata"] == f"filename {name}"
    assert server.headers["Upload-Defer-Length"] == "1"
    assert "Authorization" not in server.headers


def test_a_token_goes_with_every_request(server: TusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(upload.TOKEN, "secret")
    send(server)
    assert server.headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (["403"], "answers 403 to POST"),
        (["redirect"], "answers 307"),
        (["503"] * 99, "answers 503"),
        (["", "404"], "answers 404 to PATCH"),
        (["", "", "lose"], "lost what it had confirmed"),
        (["", *["500"] * 999], "answers 500"),
    ],
)
def test_a_server_that_will_not_take_it_is_an_error(server: TusServer, faults: list[str], reason: str) -> None:
    server.faults = faults
    with pytest.raises(HostError, match=reason) as caught:
        send(server)
    assert caught.value.code == "upload-failed"
    assert server.length is None


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/files/1", "//example.org/1", "", "ftp://127.0.0.1/1"])
def test_no_upload_goes_to_another_server(server: TusServer, location: str) -> None:
    server.location = location
    with pytest.raises(HostError, match="no address on the same server"):
        send(server)


def test_a_bundle_that_cannot_be_finished_is_dropped(server: TusServer) -> None:
    def fail(descriptor: int) -> WrittenBundle:
        os.write(descriptor, DATA[:50000])
        raise InputError("file-changed", "a file changed", "gather again")

    with pytest.raises(InputError) as caught:
        upload_bundle(Upload(server.url, "x"), fail)
    assert caught.value.code == "file-changed"
    assert server.dropped
    assert server.length is None


def test_nobody_there(server: TusServer) -> None:
    with pytest.raises(HostError, match=r"upload to http://127\.0\.0\.1:1/ failed"):
        upload_bundle(Upload("http://127.0.0.1:1/", "x"), stream)


@pytest.mark.parametrize("url", ["example.org", "ftp://example.org", "https://", "https://me:secret@example.org/", "-"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        require_upload_url(url)
    assert caught.value.code == "bad-upload-url"


def test_a_token_needs_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    require_upload_url("http://example.org/files")
    monkeypatch.setenv(upload.TOKEN, "secret")
    require_upload_url("https://example.org/files")
    require_upload_url("http://localhost:1080/files")
    with pytest.raises(CoreboxError):
        require_upload_url("http://example.org/files")
