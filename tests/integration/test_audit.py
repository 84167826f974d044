"""What the audit of the lock file says, for every way that a vulnerability service may answer or not."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.programs import REPOSITORY
from tests.support.registry import free_port

LOCK = "".join(f"{name} \\\n    --hash=sha256:{'0' * 64}\n" for name in ("click==8.2", "isal==1.7"))
FOUND = {
    "id": "GHSA-1111-2222-3333",
    "summary": "a way in",
    "affected": [
        {
            "package": {"name": "click", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "8.3"}]}],
        }
    ],
}


class Service(HTTPServer):
    """An OSV service on this machine; ``answer`` is what it says of click, of others it knows nothing."""

    status = 200
    answer: object = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/query"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = json.dumps(self.server.answer if asked["package"]["name"] == "click" else {}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def audit(folder: Path, url: str, lock: str = LOCK) -> tuple[int, str]:
    path = folder / "lock.txt"
    path.write_text(lock)
    command = [sys.executable, str(REPOSITORY / "tools/audit.py"), "--lock", str(path), "--osv-url", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


NOTHING = "audit: 2 packages asked for, 0 with known vulnerabilities\n"
ONE = """\
audit: click 8.2: GHSA-1111-2222-3333; repaired in: 8.3
audit: 2 packages asked for, 1 with known vulnerabilities
audit: take newer ones: make upgrade
"""
SKIPPED = "audit: skipped: no network"


@pytest.mark.parametrize(
    ("http", "answer", "status", "said"),
    [
        (200, {}, 0, NOTHING),
        (200, {"vulns": [FOUND]}, 1, ONE),
        (503, {}, 0, SKIPPED),
        (200, "no object", 1, "audit: pip-audit failed: "),
    ],
    ids=["nothing", "one", "out of order", "not OSV"],
)
def test_what_a_service_says(
    service: Service, tmp_path: Path, http: int, answer: object, status: int, said: str
) -> None:
    service.status, service.answer = http, answer
    found, output = audit(tmp_path, service.url)
    assert (found, output[: len(said)]) == (status, said)


def test_no_service_is_a_reason_to_skip(tmp_path: Path) -> None:
    status, output = audit(tmp_path, f"http://127.0.0.1:{free_port()}/v1/query")
    assert status == 0
    assert output.startswith(SKIPPED)
    assert "Connection refused" in output


def test_a_package_without_a_digest_is_an_error(service: Service, tmp_path: Path) -> None:
    assert audit(tmp_path, service.url, "click==8.2\n") == (
        1,
        "audit: pip-audit failed: ERROR:pip_audit._cli:requirement click==8.2 does not contain a hash\n",
    )
