"""An image's content as directories and values, unpacked once and mounted from there."""

from dataclasses import dataclass
from pathlib import Path

from corebox.bundle import Manifest, identity_of, parse_manifest
from corebox.errors import InputError
from corebox.store import Layer, Store, StoredImage

OURS = ".corebox"


@dataclass(frozen=True)
class OpenedImage:
    """Where an image's parts lie; ``core`` is None if the bundle had none, ``debug`` if there are no symbols."""

    image: StoredImage
    manifest: Manifest
    identity: str
    root: Path
    toolbox: Path
    ours: Path
    core: Path | None
    debug: Path | None


def open_image(store: Store, image: StoredImage) -> OpenedImage:
    """Unpack the image where it is not unpacked yet.

    Raises:
        InputError: ``not-a-crash`` for an image that corebox did not build, ``image-damaged``, ``missing-blob``.
    """
    ours = store.unpacked(_layers(image, "core")) / OURS
    try:
        manifest = parse_manifest((ours / "manifest.json").read_bytes())
        identity = identity_of((ours / "bundle" / "SHA256SUMS").read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            "not-a-crash", f"the image {image.image_id} holds no crash", "build one: corebox build x.corebox"
        ) from error
    symbols = _layers(image, "symbols")
    return OpenedImage(
        image=image,
        manifest=manifest,
        identity=identity,
        root=store.unpacked(_layers(image, "system", "program")),
        toolbox=store.unpacked(_layers(image, "toolbox")) / OURS / "toolbox",
        ours=ours,
        core=ours / "core" if (ours / "core").exists() else None,
        debug=store.unpacked(symbols) / OURS / "debug" if symbols else None,
    )


def _layers(image: StoredImage, *kinds: str) -> list[Layer]:
    return [layer for layer in image.layers if layer.kind in kinds]
