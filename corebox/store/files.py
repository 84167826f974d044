"""Writing files so that a reader sees the old content or the new, and a crash leaves neither half."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_atomically(path: Path, data: bytes, scratch: Path) -> None:
    """Write ``data`` to a file in ``scratch``, on the same file system, and rename it to ``path``."""
    descriptor, temporary = tempfile.mkstemp(dir=scratch)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(temporary).rename(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def canonical_json(value: Any) -> bytes:
    """The one form of a JSON document that we write: ASCII, sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


@contextmanager
def locked(path: Path, shared: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``; the kernel lets go of it when the process dies (flock(2))."""
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
