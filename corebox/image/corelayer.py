"""The core's layer, which comes with the bundle as it is, and the core in it."""

from dataclasses import dataclass
from pathlib import Path

from corebox.bundle.corelayer import CORE_FILE, core_within
from corebox.bundle.layout import CORE
from corebox.bundle.read import Unpacked
from corebox.coredump.header import MAGIC
from corebox.image import layers
from corebox.store.store import Store
from corebox.store.values import Layer, image_damaged


@dataclass(frozen=True)
class CoreInImage:
    """A file that debuggers can open as the core, and where in it the compact core lies."""

    path: Path
    offset: int
    size: int


def put_core(store: Store, unpacked: Unpacked) -> tuple[Layer, bool] | None:
    """Take the bundle's core into the store: the layer, and whether the store had it; None if there is no core."""
    if unpacked.core is None:
        return None
    digest, size = f"sha256:{unpacked.digests[CORE]}", unpacked.core.stat().st_size
    known = store.has(digest)
    if not known:
        store.adopt_blob(unpacked.core, digest)
    return Layer(digest, size, layers.CORE, digest), known


def find_core(store: Store, layer: Layer) -> CoreInImage:
    """The core in a layer of ours, or in one that an engine made of ours, whose core has to be unpacked.

    Raises:
        InputError: ``image-damaged``, ``missing-blob``.
    """
    blob = store.whole_blob(layer.digest)
    with blob.open("rb") as file:
        is_core = file.read(len(MAGIC)) == MAGIC
    if not is_core:
        unpacked = store.unpacked([layer]) / CORE_FILE
        if not unpacked.is_file():
            raise image_damaged(f"layer {layer.digest} holds no core")
        return CoreInImage(unpacked, 0, unpacked.stat().st_size)
    try:
        return CoreInImage(blob, *core_within(str(blob)))
    except ValueError as error:
        raise image_damaged(f"layer {layer.digest}: {error}") from error
