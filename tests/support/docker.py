"""A Docker Engine for the tests: the one that runs, else one that is started, and stopped by the last who needs it."""

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.shared import CACHE, locked

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
_LOG = CACHE / "dockerd.log"
_OURS = CACHE / "dockerd.pid"


def answers() -> bool:
    """Whether an engine answers."""
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


@contextmanager
def running_engine() -> Iterator[None]:
    """An engine for the length of the block."""
    try:
        with locked("engine-users", fcntl.LOCK_SH):
            with locked("engine"):
                if not answers():
                    _start()
            yield
    finally:
        others = locked("engine-users", fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(BlockingIOError), locked("engine"), others:
            if _OURS.exists():  # the engine removes it when it ends
                _stop(int(_OURS.read_text()))


def _start() -> None:
    """Its output goes to a file, or whoever reads ours would wait for it."""
    assert shutil.which("dockerd"), "the tests need a Docker Engine: apt-get install docker.io"
    daemon = ["dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", f"--pidfile={_OURS}"]
    with _LOG.open("w") as log:
        subprocess.run(["setsid", "--fork", *daemon], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
    deadline = time.monotonic() + START_TIMEOUT
    while not answers():
        assert time.monotonic() < deadline, f"dockerd does not answer, see {_LOG}: {_LOG.read_text()[-2000:]}"
        time.sleep(0.2)


def _stop(process: int) -> None:
    handle = os.pidfd_open(process)
    signal.pidfd_send_signal(handle, signal.SIGTERM)
    ended, _, _ = select.select([handle], [], [], STOP_TIMEOUT)
    os.close(handle)
    assert ended, f"dockerd does not end, see {_LOG}"
