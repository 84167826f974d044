"""What an image's labels say of the crash: a registry shows them to everybody."""

import corebox
from corebox.actions.fault import FAULT, fault_place
from corebox.bundle.manifest import Manifest
from corebox.describe.program import program_of
from corebox.image.toolbox import Toolbox
from corebox.unbundle.read import Unpacked

#: What is told only to those who ask for it.
PRIVATE = ("arguments", "hostname")


def crash_labels(
    manifest: Manifest, unpacked: Unpacked, toolbox: Toolbox, disclosed: tuple[str, ...] = ()
) -> dict[str, str]:
    """The labels; of PRIVATE those that are ``disclosed``, if the bundle has them."""
    process, program = manifest.process, program_of(manifest)
    fault = {FAULT: fault_place(unpacked.core)} if unpacked.core else {}
    private = {"arguments": process.arguments, "hostname": manifest.site.hostname}
    return {
        **fault,
        **{f"io.corebox.{name}": text for name, text in private.items() if name in disclosed and text},
        "io.corebox.bundle": unpacked.identity,
        "io.corebox.executable": process.executable or process.name or "",
        "io.corebox.program": str(program),
        "io.corebox.signal": process.signal_name or "",
        "io.corebox.time": process.time,
        "io.corebox.toolbox": toolbox.summary,
        "io.corebox.version": corebox.__version__,
        "org.opencontainers.image.title": f"core of {program.called or 'a program'}",
    }
