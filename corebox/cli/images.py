"""``corebox images`` and ``corebox rm``."""

import click

from corebox.cli import options, output
from corebox.store import Store, StoredImage


@click.command("images")
@options.as_json
def images(as_json: bool) -> int:
    """List the images in the store."""
    found = Store.default().images()
    if as_json:
        output.say_json({"version": 1, "images": [_document(image) for image in found]})
    elif found:
        rows = [("NAME", "IMAGE ID", "SIZE", "CRASHED", "SIGNAL", "TIME")]
        output.table(rows + [_row(image, tag) for image in found for tag in image.tags or ("<none>",)])
    else:
        output.say("no images; build one: corebox build crash.corebox")
    return 0


@click.command("rm")
@click.argument("references", nargs=-1, required=True, metavar="IMAGE...")
def remove(references: tuple[str, ...]) -> int:
    """Remove images from the store, with the layers that no other image needs.

    Of an image with several names only the one that is given goes.
    """
    store = Store.default()
    for reference in references:
        image = store.find(reference)
        if reference in image.tags and len(image.tags) > 1:
            store.untag(reference)
        else:
            store.remove(image)
        output.say(f"removed {reference}")
    output.say(f"freed {output.size(store.prune().freed)}")
    return 0


def _row(image: StoredImage, tag: str) -> tuple[str, ...]:
    labels = image.labels
    facts = (labels.get(f"io.corebox.{name}", "") for name in ("executable", "signal", "time"))
    return (tag, image.image_id.removeprefix("sha256:")[:12], output.size(image.size), *facts)


def _document(image: StoredImage) -> dict[str, object]:
    layers = [{"kind": layer.kind, "digest": layer.digest, "size": layer.size} for layer in image.layers]
    return {
        "image_id": image.image_id,
        "tags": list(image.tags),
        "size": image.size,
        "labels": dict(image.labels),
        "layers": layers,
    }
