"""The page of a fleet in a real browser, behind a proxy that has logged its user in, with real crashes."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.test_fleet import answers, wait_until
from tests.integration.test_report_page import HOSTILE, chromium, corner
from tests.support.crashes import build_program
from tests.support.lab import Lab


@pytest.fixture(scope="module")
def site(toolbox_alone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a proxy before ``fleet serve``; two crashes, one of a program with a hostile name."""
    folder = tmp_path_factory.mktemp("fleet-page")
    desk = Lab(shutil.copytree(toolbox_alone, folder / "home", symlinks=True))
    program = build_program(folder / "app")
    for number, release in enumerate(("1.0", HOSTILE)):
        desk.done("gather", program.crash(), "--no-nice", "-o", folder / f"{number}.corebox")
        desk.done("fleet", "add", folder / f"{number}.corebox", "--customer", HOSTILE, "--release", release)
    desk.done("fleet", "work", "--until-idle", "--engine", "bubblewrap")
    desk.done("fleet", "reader", "add", "ann", "--role", "admin")
    with served(desk, "--user-header", "X-Forwarded-User") as port, proxy(port, "ann") as url:
        yield url


@contextmanager
def served(desk: Lab, *options: str) -> Iterator[int]:
    """``fleet serve`` on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [*desk.command, "fleet", "serve", "--port", str(port), "--keep-free", "0", *options]
    server = subprocess.Popen(words, env={**os.environ, "COREBOX_HOME": str(desk.home)})
    try:
        wait_until(lambda: answers(port))
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


@contextmanager
def proxy(port: int, user: str) -> Iterator[str]:
    """A reverse proxy whose every visitor is ``user``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("GET", self.path, headers={"X-Forwarded-User": user, "Host": self.headers["Host"]})
                answer = connection.getresponse()
                body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_page_is_shown_and_nothing_of_a_crash_is_markup(site: str) -> None:
    for path in ("/", "/family/1", "/crash/2", "/search?customer=%3Cimg%3E", "/backlog", "/readers"):
        shown = chromium("--dump-dom", site + path)
        assert "Log out ann" in shown, path
        assert not re.search("<img|<script|\u202e|\x1b", shown), path
        assert "<title>owned" not in shown
    overview = chromium("--dump-dom", site + "/")
    assert re.search('<a href="/family/1"><bdi>[^<]+</bdi></a></th><td>2</td><td>1</td><td>2</td>', overview)
    assert "&lt;img src=x onerror=" in chromium("--dump-dom", site + "/crash/2")


def test_the_report_of_a_crash_is_read(site: str) -> None:
    crash = chromium("--dump-dom", site + "/crash/1")
    assert '<a href="/crash/1/report">' in crash
    assert "corebox shell fleet:1" in crash
    report = chromium("--dump-dom", site + "/crash/1/report")
    assert "<title>SIGSEGV" in report
    assert "crash 1: report opened" in chromium("--dump-dom", site + "/readers")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(scheme: str, site: str, tmp_path: Path) -> None:
    shot = tmp_path / "page.png"
    dark = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    chromium("--window-size=400,300", dark, f"--screenshot={shot}", site)
    assert corner(shot) == {"light": (255, 255, 255), "dark": (13, 17, 23)}[scheme]


@pytest.mark.parametrize("path", ["/", "/family/1", "/crash/2", "/search", "/readers"])
def test_nothing_is_wider_than_a_telephone(path: str, site: str, tmp_path: Path) -> None:
    """A script of the test's own measures a copy, which has its style in it and no policy."""
    shown = chromium("--dump-dom", site + path)
    style = (Path(__file__).parents[2] / "corebox/fleet/pages/style.css").read_text()
    measure = "<script>document.title = document.documentElement.scrollWidth</script></html>"
    probe = tmp_path / "probe.html"
    text = re.sub("<link[^>]*>", f"<style>{style}</style>", shown)
    probe.write_text(text.replace("</html>", measure))
    assert "<title>500</title>" in chromium("--window-size=500,800", "--dump-dom", probe.as_uri())
