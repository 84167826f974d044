"""An image's layers as directories for an engine to mount; nothing is copied into the engine."""

from dataclasses import dataclass
from pathlib import Path

from corebox.errors import InputError
from corebox.image.corelayer import CORE_FILE, GDBINIT_FILE, MANIFEST_FILE
from corebox.image.layers import ADDED, CORE, OURS, PROGRAM, SYMBOLS, SYSTEM, TOOLBOX
from corebox.store import Store, StoredImage


@dataclass(frozen=True)
class OpenedImage:
    """Where the parts of an image lie on this machine, all read-only for whoever uses them.

    Attributes:
        root: the customer's files.
        toolbox: what belongs at ``/.corebox/toolbox``.
        debug: what belongs at ``/.corebox/debug``, if there are symbols.
        core: the compact core, if the bundle had one.
        gdbinit: what gdb reads first.
        manifest: the bundle's manifest.
    """

    root: Path
    toolbox: Path
    debug: Path | None
    core: Path | None
    gdbinit: Path
    manifest: Path


def open_image(store: Store, image: StoredImage) -> OpenedImage:
    """Unpack those layers of the image that are not unpacked yet.

    Raises:
        InputError: ``not-corebox-image`` for an image that something else made, ``image-damaged``, ``missing-blob``.
    """
    kinds = {layer.kind for layer in image.layers}
    if not {TOOLBOX, CORE} <= kinds:
        hint = "give an image that `corebox build` made with the native builder"
        raise InputError("not-corebox-image", "the image has no toolbox or no core of corebox's", hint)

    def unpacked(*wanted: str) -> Path:
        return store.unpacked([layer for layer in image.layers if layer.kind in wanted])

    ours = unpacked(CORE)
    return OpenedImage(
        root=unpacked(SYSTEM, PROGRAM, ADDED),
        toolbox=unpacked(TOOLBOX) / OURS / "toolbox",
        debug=unpacked(SYMBOLS) / OURS / "debug" if SYMBOLS in kinds else None,
        core=ours / CORE_FILE if (ours / CORE_FILE).exists() else None,
        gdbinit=ours / GDBINIT_FILE,
        manifest=ours / MANIFEST_FILE,
    )
