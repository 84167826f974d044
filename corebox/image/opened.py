"""An image's content as directories and values, unpacked once and mounted from there; nothing goes into an engine."""

from pathlib import Path
from typing import NamedTuple

from corebox.bundle.digests import identity_of
from corebox.bundle.layout import MAX_MANIFEST, SUMS
from corebox.bundle.manifest import Manifest
from corebox.errors import InputError
from corebox.image.corelayer import CoreInImage, core_in, find_core
from corebox.image.parts import BUNDLE, CORE, CRASH, MANIFEST_FILE, OURS, SYMBOLS, TOOLBOX, TOOLBOX_HOME
from corebox.store.store import Store
from corebox.store.values import StoredImage, image_damaged
from corebox.unbundle.parse import parse_manifest

#: Layers whose files are ours alone, and unpacked on their own.
_OURS_ALONE = (TOOLBOX, SYMBOLS, CORE, CRASH)


class OpenedImage(NamedTuple):
    """Where an image's parts lie on this machine; they must not be changed.

    Attributes:
        image: the image.
        manifest: of the bundle that it was made from, whose identity is ``identity``.
        identity: see there.
        root: the customer's files.
        toolbox: what belongs at ``/.corebox/toolbox``.
        ours: what else belongs at ``/.corebox``: gdbinit, manifest.json and others.
        compact: where the core is, if the bundle had one; ``core`` is the file to open.
        debug: what belongs at ``/.corebox/debug``, if there are symbols.
    """

    image: StoredImage
    manifest: Manifest
    identity: str
    root: Path
    toolbox: Path
    ours: Path
    compact: CoreInImage | None
    debug: Path | None

    @property
    def core(self) -> Path | None:
        """The file to open as the core."""
        return self.compact.path if self.compact else None


def open_image(store: Store, image: StoredImage) -> OpenedImage:
    """Unpack those layers of the image that are not unpacked yet.

    Raises:
        InputError: ``not-a-crash`` for an image that corebox did not build, ``image-damaged``, ``missing-blob``.
    """
    kinds = {layer.kind for layer in image.layers}

    def unpacked(*wanted: str) -> Path:
        return store.unpacked([layer for layer in image.layers if layer.kind in wanted])

    # What others have put over ours, or made of it: squashed, or built again by an engine.
    root = store.unpacked([layer for layer in image.layers if layer.kind not in _OURS_ALONE])
    crash = unpacked(CRASH) if CRASH in kinds else root
    facts, sums = crash / MANIFEST_FILE, crash / BUNDLE / SUMS
    if not (facts.is_file() and sums.is_file()):
        message, hint = f"the image {image.image_id} contains no crash", "build one: corebox build x.corebox"
        raise InputError("not-a-crash", message, hint)
    if max(facts.stat().st_size, sums.stat().st_size) > MAX_MANIFEST:
        raise image_damaged(f"its manifest is longer than {MAX_MANIFEST} bytes")
    manifest, identity = parse_manifest(facts.read_bytes()), identity_of(sums.read_bytes())
    return OpenedImage(
        image=image,
        manifest=manifest,
        identity=identity,
        root=root,
        toolbox=(unpacked(TOOLBOX) if TOOLBOX in kinds else root) / TOOLBOX_HOME,
        ours=crash / OURS,
        compact=next((find_core(store, layer) for layer in image.layers if layer.kind == CORE), core_in(root)),
        debug=_debug(unpacked(SYMBOLS) if SYMBOLS in kinds else root),
    )


def _debug(tree: Path) -> Path | None:
    path = tree / OURS / "debug"
    return path if path.is_dir() else None
