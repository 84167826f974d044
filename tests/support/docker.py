"""A Docker Engine for the tests: the one that runs, else one that we start and stop again."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT = 60.0


def answers() -> bool:
    """Whether an engine answers."""
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


@contextmanager
def running_engine(log: Path) -> Iterator[None]:
    """An engine for the length of the block. Its output goes to ``log``, or whoever reads ours would wait for it."""
    if answers():
        yield
        return
    assert shutil.which("dockerd"), "the tests need a Docker Engine: apt-get install docker.io"
    with log.open("w") as stream:
        daemon = subprocess.Popen(
            ["dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not answers():
            assert daemon.poll() is None, f"dockerd ended, see {log}: {log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"dockerd does not answer, see {log}"
            time.sleep(0.2)
        yield
    finally:
        daemon.terminate()
        daemon.wait(30)
