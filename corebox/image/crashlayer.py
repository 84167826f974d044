"""The last layer: what is needed beside the core to open it and to give the bundle back."""

from corebox.bundle.layout import CORE_DIGESTS, CORE_LAYOUT, RUN_SCRIPT, SUMS
from corebox.bundle.manifest import Manifest
from corebox.image.layers import PlannedLayer, plan_ours
from corebox.image.parts import BUNDLE, CRASH, DIGESTS_FILE, GDBINIT_FILE, LAYOUT_FILE, MANIFEST_FILE, SCRATCH
from corebox.image.tar import Entry, text_file
from corebox.unbundle.read import Unpacked


def crash_layer(unpacked: Unpacked, manifest: Manifest, gdbinit: str) -> PlannedLayer:
    """The plan of the layer."""
    entries = [
        text_file(MANIFEST_FILE, manifest.to_bytes()),
        text_file(f"{BUNDLE}/{RUN_SCRIPT}", unpacked.run_script.read_bytes(), 0o755),
        text_file(f"{BUNDLE}/{SUMS}", unpacked.sums),
        text_file(GDBINIT_FILE, gdbinit.encode("utf-8", "surrogateescape")),
        Entry(SCRATCH, 0o1777),
    ]
    of_core = (
        (DIGESTS_FILE, unpacked.core_digests, CORE_DIGESTS),
        (LAYOUT_FILE, unpacked.core_layout, CORE_LAYOUT),
    )
    for name, file, member in of_core:
        if file is not None:
            entries.append(Entry(name, 0o644, 0, file.stat().st_size, None, file, unpacked.digests[member]))
    return plan_ours(CRASH, entries)
