"""Podman for the tests, with a storage of its own in a folder with a short name: it takes no other."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT = 60.0
#: In the address of a proxy in its environment, which it hands on to containers unless told otherwise.
SECRET_OF_PROXY = "vendors-own-secret-5f21"
#: Podman's own limits may be higher than a test machine that is a container itself may set.
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


@contextmanager
def podman_storage() -> Iterator[tuple[str, ...]]:
    """The command, for the length of the block."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield ("podman", "--storage-driver=overlay", f"--root={folder}/root", f"--runroot={folder}/run")
        finally:
            subprocess.run(["umount", f"{folder}/root/overlay"], check=False)  # which Podman mounts on itself


@contextmanager
def podman_service(folder: Path) -> Iterator[str]:
    """A service that speaks Docker's API, for the length of the block; its address."""
    socket = folder / "podman.sock"
    with podman_storage() as command, (folder / "log").open("w") as log:
        service = subprocess.Popen(
            [*command, "system", "service", "--time=0", f"unix://{socket}"],
            env={**os.environ, "http_proxy": f"http://{SECRET_OF_PROXY}@proxy.example:3128"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + START_TIMEOUT
            ask = ["podman", "--url", f"unix://{socket}", "version"]
            while subprocess.run(ask, capture_output=True, check=False).returncode:
                assert service.poll() is None, (folder / "log").read_text()[-2000:]
                assert time.monotonic() < deadline, "podman's service does not come up"
                time.sleep(0.05)
            yield f"unix://{socket}"
        finally:
            service.terminate()
            service.wait(30)
