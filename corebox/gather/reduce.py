"""The core without what the customer does not want to give away: slim, or with secrets blanked."""

import contextlib
import os
from typing import Any, Iterator, Mapping, Optional, Sequence

from corebox.bundle.manifest import StoredCore
from corebox.coredump.core import CoreFile
from corebox.coredump.table import read_table
from corebox.files.faults import changed
from corebox.files.openfile import OpenFile
from corebox.files.temporary import unnamed_file
from corebox.gather.collect import Collection
from corebox.gather.compressed import write_sparse
from corebox.reduce.redact import RedactionPlan, plan_redaction
from corebox.reduce.slim import plan_slim, slim_pieces


@contextlib.contextmanager
def slim_core(core: CoreFile, directory: str, files: Mapping[str, OpenFile]) -> Iterator[CoreFile]:
    """A slim copy of the core, in memory or in a file of ``directory`` without a name, while the context lasts.

    ``files`` are those of its modules.

    Raises:
        HostError: ``no-space`` or ``cannot-write``.
        InputError: ``file-changed`` when the core still grows.
    """
    plan = plan_slim(core, files)
    descriptor = unnamed_file(directory, plan.size)
    with open(descriptor, "wb") as file:
        write_sparse(slim_pieces(core, plan), file)
        status = os.fstat(core.fileno())
        if status.st_size != core.size:
            raise changed(core.path)
        os.utime(descriptor, ns=(status.st_mtime_ns, status.st_mtime_ns))
        with CoreFile(core.path, os.dup(descriptor), read_table(descriptor, core.path)) as slim:
            yield slim


def plan_blanks(
    core: CoreFile, patterns_given: Sequence[str], whole: Optional[CoreFile] = None, scan: bool = True
) -> RedactionPlan:
    """What to blank in the core for ``--redact``: "env", or texts; ``whole`` is what a slim core was made of."""
    patterns = [os.fsencode(pattern) for pattern in patterns_given if pattern not in ("", "env")]
    return plan_redaction(core, "env" in patterns_given, patterns, whole, scan)


def blanked(collection: Collection, plan: RedactionPlan) -> Collection:
    """The collection with the same blanks in what it quotes of the process."""
    process, site, runtime = collection.manifest.process, collection.manifest.site, collection.manifest.runtime
    manifest = collection.manifest._replace(
        process=process._replace(name=_blank(process.name, plan), arguments=_blank(process.arguments, plan)),
        site=site._replace(hostname=_blank(site.hostname, plan)),
        runtime=_blank(runtime, plan),
    )
    return collection._replace(manifest=manifest)


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
