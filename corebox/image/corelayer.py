"""The last layer: the compact core, and what is needed to open it and to give the bundle back."""

import calendar
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from corebox.bundle import RUN_SCRIPT, SUMS, Manifest, Unpacked
from corebox.coredump import CompactionPlan, CoreFile, open_core, plan_compaction
from corebox.image.layers import CORE, OURS, PlannedLayer, plan_ours
from corebox.image.tar import Entry, Produce, text_file
from corebox.store import BlobWriter

CORE_FILE = f"{OURS}/core"
LAYOUT_FILE = f"{OURS}/core.layout.json"
MANIFEST_FILE = f"{OURS}/manifest.json"
GDBINIT_FILE = f"{OURS}/gdbinit"
SCRATCH = f"{OURS}/tmp"  # noqa: S108 - a directory of the image
BUNDLE = f"{OURS}/bundle"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@contextmanager
def core_layer(unpacked: Unpacked, manifest: Manifest, gdbinit: str) -> Iterator[PlannedLayer]:
    """The plan of the layer; the core stays open as long as the plan may be used.

    Raises:
        InputError: ``not-a-core``.
    """
    time = calendar.timegm(datetime.strptime(manifest.process.time, _TIME).timetuple())
    entries = [
        text_file(MANIFEST_FILE, manifest.to_bytes()),
        text_file(f"{BUNDLE}/{RUN_SCRIPT}", unpacked.run_script.read_bytes(), 0o755),
        text_file(f"{BUNDLE}/{SUMS}", unpacked.sums),
        text_file(GDBINIT_FILE, gdbinit.encode("utf-8", "surrogateescape")),
        Entry(SCRATCH, 0o1777),
    ]
    with ExitStack() as stack:
        if unpacked.core is not None:
            core = stack.enter_context(open_core(str(unpacked.core)))
            plan = plan_compaction(core, unpacked.holes)
            entries.append(Entry(CORE_FILE, 0o644, time, plan.size, None, _producer(core, plan)))
            entries.append(text_file(LAYOUT_FILE, json.dumps(plan.layout(), sort_keys=True).encode("ascii")))
        yield plan_ours(CORE, entries)


def lay_out(plan: PlannedLayer, core: Path, into: Path) -> None:
    """Make the layer's tree with the original core in place of the compact one, on the same disk without a copy.

    gdb reads the same from both, and this one is there already.
    """
    for entry in plan.entries:
        path = into / entry.path
        if entry.source is None:
            path.mkdir()
        elif isinstance(entry.source, bytes):
            path.write_bytes(entry.source)
        else:
            path.hardlink_to(core)
            os.utime(path, (entry.mtime, entry.mtime))
        path.chmod(entry.mode & 0o777)


def _producer(core: CoreFile, plan: CompactionPlan) -> Produce:
    def produce(writer: BlobWriter) -> None:
        writer.write(plan.head)
        for run in plan.runs:
            writer.copy_range(core.fileno(), run.original, run.size)
        writer.write(plan.tail)

    return produce
