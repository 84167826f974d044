"""The core without what the customer does not want to give away: slim, made beside the original, which stays."""

import contextlib
import os
import tempfile
from typing import Iterator

from corebox.coredump import CoreFile, open_core, plan_slim, write_slim


@contextlib.contextmanager
def slim_core(core: CoreFile, directory: str) -> Iterator[CoreFile]:
    """A slim copy of the core in a private temporary directory, for as long as the context lasts.

    Raises:
        HostError: ``no-space`` or ``cannot-write``.
    """
    with tempfile.TemporaryDirectory(dir=directory, prefix=".corebox-slim-") as folder:  # mode 0700
        path = os.path.join(folder, os.path.basename(core.path))
        with open(path, "wb") as file:
            write_slim(core, plan_slim(core), file.fileno())
        modified = os.fstat(core.fileno()).st_mtime_ns
        os.utime(path, ns=(modified, modified))
        with open_core(path) as slim:
            yield slim
