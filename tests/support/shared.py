"""What all runs of the tests on this machine share, several at once: a cache, and locks in it.

The cache is COREBOX_TEST_CACHE, default ~/.cache/corebox-tests.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("COREBOX_TEST_CACHE", Path.home() / ".cache" / "corebox-tests"))


@contextmanager
def locked(name: str, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock ``name`` (flock(2)); BlockingIOError where it is not free and ``how`` says not to wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, how)
        yield
