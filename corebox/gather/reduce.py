"""The core without what the customer does not want to give away: slim, or with secrets blanked."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterator, Mapping, Optional, Sequence

from corebox.bundle.manifest import StoredCore
from corebox.coredump.core import CoreFile, open_core
from corebox.files.faults import changed
from corebox.files.openfile import OpenFile
from corebox.files.temporary import temporary_directory
from corebox.gather.collect import Collection
from corebox.gather.compressed import write_sparse
from corebox.reduce.redact import RedactionPlan, plan_redaction
from corebox.reduce.slim import plan_slim, write_slim


@contextlib.contextmanager
def slim_core(core: CoreFile, directory: str, files: Mapping[str, OpenFile]) -> Iterator[CoreFile]:
    """A slim copy of the core in a private temporary directory, for as long as the context lasts.

    ``files`` are those of its modules.

    Raises:
        HostError: ``no-space`` or ``cannot-write``.
        InputError: ``file-changed`` when the core still grows.
    """
    with temporary_directory(directory, guarded=True) as folder:  # mode 0700
        path = os.path.join(folder, os.path.basename(core.path))
        with open(path, "wb") as file:
            write_sparse(_slim_pieces(core, files), file)
        status = os.fstat(core.fileno())
        if status.st_size != core.size:
            raise changed(core.path)
        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
        with open_core(path) as slim:
            yield slim


def _slim_pieces(core: CoreFile, files: Mapping[str, OpenFile]) -> Iterator[bytes]:
    """The slim core as it is written, through a pipe, so that its pages of zeros become holes again."""
    reading, writing = os.pipe()
    with ThreadPoolExecutor(1) as writer, open(reading, "rb", buffering=0) as pipe:
        written = writer.submit(_write_slim, core, files, writing)
        while True:
            piece = pipe.read(1 << 20)
            if not piece:
                break
            yield piece
        written.result()


def _write_slim(core: CoreFile, files: Mapping[str, OpenFile], descriptor: int) -> None:
    try:
        write_slim(core, plan_slim(core, files), descriptor)
    finally:
        os.close(descriptor)


def plan_blanks(
    core: CoreFile, patterns_given: Sequence[str], whole: Optional[CoreFile] = None, scan: bool = True
) -> RedactionPlan:
    """What to blank in the core for ``--redact``: "env", or texts; ``whole`` is what a slim core was made of."""
    patterns = [os.fsencode(pattern) for pattern in patterns_given if pattern not in ("", "env")]
    return plan_redaction(core, "env" in patterns_given, patterns, whole, scan)


def blanked(collection: Collection, plan: RedactionPlan) -> Collection:
    """The collection with the same blanks in what it quotes of the process."""
    process, site = collection.process, collection.site
    return collection._replace(
        process=process._replace(name=_blank(process.name, plan), arguments=_blank(process.arguments, plan)),
        site=site._replace(hostname=_blank(site.hostname, plan)),
        runtime=_blank(collection.runtime, plan),
    )


def redacted_core(core: StoredCore, plan: RedactionPlan, patterns_given: Sequence[str]) -> StoredCore:
    """What the manifest says of the core with what was blanked."""
    names = plan.names if "env" in patterns_given else None
    return core._replace(redacted=plan.occurrences, redacted_variables=names)


def _blank(value: Any, plan: RedactionPlan) -> Any:
    """The value with all its texts blanked; the tuples of a manifest keep their types."""
    if isinstance(value, str):
        return os.fsdecode(plan.blank(os.fsencode(value)))
    if isinstance(value, dict):
        return {key: _blank(item, plan) for key, item in value.items()}
    if isinstance(value, tuple):
        items = [_blank(item, plan) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value
