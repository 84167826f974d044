"""A bundle goes to a real tus server while it is made, and goes on after that was killed."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corebox.unbundle.verify import verify_bundle
from tests.support.crashes import build_program
from tests.support.programs import REPOSITORY

SERVER = REPOSITORY / "tests/client/tus.js"


@contextmanager
def tus(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The server, which keeps uploads in ``folder``; killed at the end of the block."""
    with subprocess.Popen(["node", SERVER, folder, str(port)], stdout=subprocess.PIPE) as server:
        assert server.stdout
        assert server.stdout.readline() == b"ready\n"
        try:
            yield server
        finally:
            server.kill()


def bundle_in(folder: Path) -> Path | None:
    """The upload; beside it the server keeps what it knows of it."""
    return next((path for path in folder.iterdir() if path.suffix != ".json"), None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_an_upload_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    core, large, folder, port = build_program(tmp_path / "app").crash(), tmp_path / "log", tmp_path / "up", free_port()
    large.write_bytes(os.urandom(40 << 20))  # five times what is sent at a time
    folder.mkdir()
    command = [sys.executable, "-m", "corebox", "gather", str(core), "--with", str(large), "--json"]
    with tus(folder, port) as server:
        upload = ["--upload", f"http://127.0.0.1:{port}/files"]
        with subprocess.Popen([*command, *upload], stdout=subprocess.PIPE, cwd=tmp_path) as gather:
            while gather.poll() is None and not ((stored := bundle_in(folder)) and stored.stat().st_size):
                time.sleep(0.001)
            server.kill()
            server.wait()
            assert gather.poll() is None
            with tus(folder, port):
                (said, _) = gather.communicate()
    assert gather.returncode == 0
    stored = bundle_in(folder)
    assert stored is not None
    verification = verify_bundle(stored)
    assert verification.ok
    told = json.loads(said)["bundle"]
    assert (told["identity"], told["size"]) == (verification.identity, stored.stat().st_size)
    assert told["path"] == f"http://127.0.0.1:{port}/files/{stored.name}"
    assert not list(tmp_path.glob("*.corebox"))
