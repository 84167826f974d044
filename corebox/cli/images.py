"""``corebox images``."""

from collections.abc import Iterator, Sequence

import click

from corebox.cli import options, output
from corebox.printable import counted
from corebox.store.store import Store
from corebox.store.values import Layer, StoredImage


@click.command("images", short_help="List the images in the store.")
@click.option("--tree", is_flag=True, help="Show the layers, and which images share them.")
@options.as_json
def command(tree: bool, as_json: bool) -> int:
    """List the images in the store, which is COREBOX_HOME, else ~/.local/share/corebox.

    Of an image whose core stays in a registry the size is what has been fetched.
    """
    store = Store.default()
    found = [*store.images(), *store.partial_images()]
    if as_json:
        output.say_json({"version": 1, "images": [_document(image) for image in found]})
    elif not found:
        output.say("no images; build one: corebox build crash.corebox")
    elif tree:
        for line in _tree(found):
            output.say(line)
    else:
        rows = [("NAME", "IMAGE ID", "SIZE", "PROGRAM", "SIGNAL", "TIME")]
        output.table(rows + [_row(image, tag) for image in found for tag in image.tags or ("<none>",)])
    return 0


def _row(image: StoredImage, tag: str) -> tuple[str, ...]:
    labels = image.labels
    program = labels.get("io.corebox.program") or labels.get("io.corebox.executable", "")
    facts = (labels.get(f"io.corebox.{name}", "") for name in ("signal", "time"))
    return (tag, image.image_id.removeprefix("sha256:")[:12], _size(image), program, *facts)


def _size(image: StoredImage) -> str:
    return output.size(image.size) + (", in part" if image.is_partial else "")


def _tree(images: Sequence[StoredImage]) -> Iterator[str]:
    """Every image with its layers; the bytes that other images have too are counted once in the last line."""
    users: dict[str, int] = {}
    for image in images:
        for digest in {layer.digest for layer in image.layers}:
            users[digest] = users.get(digest, 0) + 1
    for image in images:
        yield f"{', '.join(image.tags) or image.image_id}  {_size(image)}"
        for layer in image.layers:
            yield "  " + _branch(layer, users[layer.digest])
    once = sum({layer.digest: layer.size for image in images for layer in image.layers}.values())
    many = counted(len(images), "image")
    yield f"{output.size(sum(image.size for image in images))} in {many}, {output.size(once)} on disk"


def _branch(layer: Layer, users: int) -> str:
    shared = f"shared by {users} images" if users > 1 else "in this image only"
    return f"{layer.kind:8} {output.size(layer.size):>9}  {layer.digest[:19]}  {shared}"


def _document(image: StoredImage) -> dict[str, object]:
    layers = [{"kind": layer.kind, "digest": layer.digest, "size": layer.size} for layer in image.layers]
    return {
        "image_id": image.image_id,
        "tags": list(image.tags),
        "size": image.size,
        "labels": dict(image.labels),
        "layers": layers,
        **({"partial": True} if image.is_partial else {}),
    }
