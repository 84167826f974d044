"""A real debuginfod server on this machine, and the real client."""

import contextlib
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.registry import free_port

START_TIMEOUT = 120.0


@dataclass(frozen=True)
class Server:
    """A server that has indexed its folder; ``log`` has a line for each request."""

    url: str
    log: Path

    def requests(self) -> list[str]:
        """The paths that clients have asked for."""
        words = (
            line.split("GET ", 1)[-1] for line in self.log.read_text(errors="replace").splitlines() if "GET " in line
        )
        return [each.split()[0] for each in words if each.startswith("/buildid/")]


@contextlib.contextmanager
def serving(folder: Path, work: Path, build_ids: Sequence[str]) -> Iterator[Server]:
    """Serve the ELF files, sources and Debian packages of ``folder``; wait until it has all ``build_ids``."""
    program = shutil.which("debuginfod")
    assert program, "the tests need a debuginfod server: apt-get install debuginfod"
    port, log = free_port(), work / "debuginfod.log"
    server = Server(f"http://127.0.0.1:{port}", log)
    # Without DEBUGINFOD_URLS it asks no other server.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DEBUGINFOD_")}
    command = [
        program,
        "-vv",
        "-F",
        "-Z",
        ".deb=dpkg-deb --fsys-tarfile",
        "-p",
        str(port),
        "-d",
        str(work / "debuginfod.sqlite"),
        str(folder),
    ]
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment | {"HOME": str(work)}
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not all(_has(server, build_id) for build_id in build_ids):
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
        yield server
    finally:
        process.kill()
        process.wait()


def _has(server: Server, build_id: str) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/buildid/{build_id}/debuginfo", timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def find(cache: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the client, with nothing in the environment but where it asks and where it keeps."""
    environment = {"PATH": os.environ["PATH"], "DEBUGINFOD_URLS": url, "DEBUGINFOD_CACHE_PATH": str(cache)}
    return subprocess.run(
        ["debuginfod-find", *arguments], env=environment, check=False, capture_output=True, text=True, timeout=60
    )
