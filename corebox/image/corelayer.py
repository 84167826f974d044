"""The core in its layer."""

from pathlib import Path
from typing import NamedTuple

from corebox.bundle.corelayer import CORE_FILE, core_within
from corebox.coredump.header import MAGIC
from corebox.store.store import Store
from corebox.store.values import Layer, image_damaged


class CoreInImage(NamedTuple):
    """A file that debuggers can open as the core, and where in it the compact core lies."""

    path: Path
    offset: int
    size: int


def core_in(root: Path) -> CoreInImage | None:
    """The core in a tree of all layers, if it is there."""
    path = root / CORE_FILE
    return CoreInImage(path, 0, path.stat().st_size) if path.is_file() else None


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
