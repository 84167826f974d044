"""Uploads to a fleet over real HTTP: whole and in parts, cut and gone on with, refused and hostile."""

import http.client
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import uvicorn

from corebox.errors import HostError
from corebox.fleet import questions, tokens
from corebox.fleet.database import Fleet
from corebox.fleet.server import make_app
from corebox.fleet.uploads import Uploads
from tests.unit.bundle.samples import write_sample

with tempfile.TemporaryDirectory() as _folder:
    BUNDLE = Path(write_sample(Path(_folder)).path).read_bytes()
TUS = {"Tus-Resumable": "1.0.0"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Site:
    """A customer's machine, which has a token."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self.token = port, token

    def ask(self, method: str, path: str = "/files/", data: bytes | None = None, **headers: str) -> Answer:
        sent = {"Authorization": f"Bearer {self.token}", **TUS, **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request(method, path, data, sent)
        answer = connection.getresponse()
        found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def begin(self, **headers: str) -> str:
        answer = self.ask("POST", "/files/", None, **headers)
        assert answer.status == 201
        return answer.headers["location"]

    def append(self, place: str, data: bytes, offset: int, **headers: str) -> Answer:
        more = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": str(offset), **headers}
        return self.ask("PATCH", place, data=data, **more)


@contextmanager
def served(uploads: Uploads, user_header: str | None = None) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(make_app(uploads, user_header), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def uploads(fleet: Fleet) -> Uploads:
    return Uploads(fleet, keep_free=0, max_size=len(BUNDLE) + 1000)


@pytest.fixture
def site(uploads: Uploads) -> Iterator[Site]:
    token = tokens.make_token(uploads.fleet, "acme", "ordersd")
    with served(uploads) as port:
        yield Site(port, token)


def waiting(fleet: Fleet) -> list[tuple[str, str, str]]:
    return [(each.customer, each.product, each.release) for each in questions.find(fleet)]


def left(fleet: Fleet) -> list[Path]:
    return list((fleet.folder / "uploads").iterdir())


def test_a_whole_bundle_as_curl_sends_it(site: Site, fleet: Fleet) -> None:
    for seen in (1, 2):
        answer = site.ask("PUT", data=BUNDLE, X_Corebox_Release="4.2", X_Corebox_Source="CASE-7")
        assert (answer.status, answer.body) == (201, b"")
        assert questions.show(fleet, 1).seen == seen
    assert waiting(fleet) == [("acme", "ordersd", "4.2")]
    assert questions.show(fleet, 1).source == "CASE-7"
    assert questions.bundle(fleet, 1).read_bytes() == BUNDLE
    assert left(fleet) == []


def test_an_upload_in_parts_whose_length_is_known_at_the_end(site: Site, fleet: Fleet) -> None:
    place = site.begin(Upload_Defer_Length="1")
    half = len(BUNDLE) // 2
    assert site.append(place, BUNDLE[:half], 0).headers["upload-offset"] == str(half)
    assert site.append(place, BUNDLE[:half], 0).status == 409  # the answer was lost, say: it is told how far it is
    told = site.ask("HEAD", place)
    assert (told.status, told.headers["upload-offset"]) == (200, str(half))
    assert "upload-length" not in told.headers
    assert waiting(fleet) == []
    assert site.append(place, BUNDLE[half:], half, Upload_Length=str(len(BUNDLE))).status == 204
    assert len(waiting(fleet)) == 1
    assert site.ask("HEAD", place).status == 404


def test_a_server_that_was_restarted_goes_on(uploads: Uploads) -> None:
    token = tokens.make_token(uploads.fleet, "acme")
    with served(uploads) as port:
        place = Site(port, token).begin(Upload_Length=str(len(BUNDLE)))
        Site(port, token).append(place, BUNDLE[:100], 0)
    with served(uploads) as port:
        assert Site(port, token).append(place, BUNDLE[100:], 100).status == 204
    assert len(waiting(uploads.fleet)) == 1


def test_without_a_good_token_nothing_is_told(site: Site, fleet: Fleet) -> None:
    place = site.begin(Upload_Length="10")
    other = Site(site._port, tokens.make_token(fleet, "other"))
    assert other.ask("HEAD", place).status == 404
    assert other.append(place, b"x", 0).status == 404
    for token in ("", "wrong", "\xe4", "x" * 5000):
        assert Site(site._port, token).ask("PUT", data=BUNDLE).status == 401
    (first, _) = tokens.list_tokens(fleet)
    assert tokens.revoke_token(fleet, first.number)
    assert not tokens.revoke_token(fleet, first.number)
    assert site.ask("PUT", data=BUNDLE).status == 401
    assert waiting(fleet) == []


@pytest.mark.parametrize("name", ["..", "%2e%2e", "../../bundles", "x" * 22, "a" * 5000, "%00"])
def test_no_name_leads_elsewhere(site: Site, name: str) -> None:
    assert site.ask("HEAD", f"/files/{name}").status in (404, 405)
    assert site.ask("DELETE", f"/files/{name}").status in (404, 405)


def test_what_is_too_large_or_no_bundle_is_refused_and_gone(site: Site, fleet: Fleet, uploads: Uploads) -> None:
    assert site.ask("POST", Upload_Length=str(uploads.max_size + 1)).status == 413
    assert site.ask("PUT", data=b"x" * (uploads.max_size + 1)).status == 413
    endless = site.begin(Upload_Defer_Length="1")
    assert site.append(endless, b"x" * (uploads.max_size + 1), 0).status == 413
    assert site.ask("DELETE", endless).status == 204
    answer = site.ask("PUT", data=b"no bundle")
    assert (answer.status, b"is not a bundle" in answer.body) == (422, True)
    short = site.begin(Upload_Length="5")
    assert site.append(short, b"more than five", 0).status == 413
    assert site.append(short, b"five!", site_offset(site, short)).status in (204, 413, 422)
    assert site.append(site.begin(Upload_Length="9"), b"x", 0, Content_Type="text/plain").status == 415
    assert waiting(fleet) == []


def site_offset(site: Site, place: str) -> int:
    return int(site.ask("HEAD", place).headers["upload-offset"])


def test_a_full_disk_and_a_database_that_is_away_are_told(
    site: Site, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_keep_free", 1 << 60)
    answer = site.ask("PUT", data=BUNDLE)
    assert (answer.status, answer.headers["retry-after"]) == (507, "30")
    assert site.ask("GET", "/healthy").status == 507
    monkeypatch.setattr(uploads, "_keep_free", 0)
    assert site.ask("GET", "/healthy").status == 204
    database = Path(str(uploads.fleet.engine.url.database))
    aside = shutil.move(database, database.with_suffix(".aside"))
    uploads.fleet.engine.dispose()
    database.mkdir()
    assert site.ask("PUT", data=BUNDLE).status == 503
    database.rmdir()
    shutil.move(aside, database)
    assert site.ask("PUT", data=BUNDLE).status == 201


def test_a_disk_error_while_it_is_taken_leaves_the_upload(
    site: Site, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = site.begin(Upload_Length=str(len(BUNDLE)))

    def away(*_: object, **__: object) -> None:
        raise HostError("database-unusable", "it is away", "wait")

    with monkeypatch.context() as patch:
        patch.setattr("corebox.fleet.uploads.receive", away)
        assert site.append(place, BUNDLE, 0).status == 503
    assert site.append(place, b"", len(BUNDLE)).status == 204
    assert len(waiting(uploads.fleet)) == 1


def test_abandoned_uploads_go(site: Site, fleet: Fleet) -> None:
    import os

    place = site.begin(Upload_Length="5")
    (folder,) = left(fleet)
    os.utime(folder / "data", (0, 0))
    site.begin(Upload_Length="5")
    assert site.ask("HEAD", place).status == 404
    assert len(left(fleet)) == 1
