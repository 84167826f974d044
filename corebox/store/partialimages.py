"""Images whose core is in a registry and is fetched as gdb reads it: a note each, beside the parts that are here."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from corebox.store.values import Json, Layer, StoredImage

#: Of the notes.
KIND = "partial-images"


def to_note(image: StoredImage) -> Json:
    """What is noted of an image; its core is the last layer."""
    layers = [list(layer) for layer in image.layers]
    return {"image_id": image.image_id, "tags": list(image.tags), "layers": layers, "config": image.config}


def from_note(note: Json) -> StoredImage:
    """The image of a note, which we have written ourselves."""
    match note:
        case {"image_id": str(image_id), "tags": [str(name)], "layers": list(layers), "config": dict(config)}:
            return StoredImage(image_id, "", (name,), tuple(Layer(*each) for each in layers), config)
    return StoredImage("", "", (), (), {})


def core_of(image: StoredImage) -> Layer:
    """The blob of which only parts are there."""
    return image.layers[-1]


def present(images: Iterable[StoredImage], folder: Path) -> Iterator[StoredImage]:
    """Those of which ``folder`` has parts, with the bytes that these take."""
    for image in images:
        path = folder / core_of(image).digest[7:] if image.layers else folder / "none"
        if path.exists():
            core = core_of(image)._replace(size=path.stat().st_blocks * 512)
            yield image._replace(layers=(*image.layers[:-1], core))
