"""``corebox images``, ``corebox rm`` and ``corebox prune``."""

import re
from collections.abc import Iterator, Sequence

import click

from corebox.cli import options, output
from corebox.errors import UsageError
from corebox.store import Layer, Store, StoredImage

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@click.command("images")
@click.option("--tree", is_flag=True, help="Show the layers, and which images share them.")
@options.as_json
def images(tree: bool, as_json: bool) -> int:
    """List the images in the store, which is COREBOX_HOME, else ~/.local/share/corebox."""
    found = Store.default().images()
    if as_json:
        output.say_json({"version": 1, "images": [_document(image) for image in found]})
    elif not found:
        output.say("no images; build one: corebox build crash.corebox")
    elif tree:
        for line in _tree(found):
            output.say(line)
    else:
        rows = [("NAME", "IMAGE ID", "SIZE", "CRASHED", "SIGNAL", "TIME")]
        output.table(rows + [_row(image, tag) for image in found for tag in image.tags or ("<none>",)])
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


@click.command("prune")
@click.option("--older-than", metavar="TIME", help="Images not used for so long, e.g. 12h, 30d, 8w.")
@click.option("--limit", metavar="SIZE", help="The least recently used images, until the rest fits, e.g. 20G.")
def prune(older_than: str | None, limit: str | None) -> int:
    """Remove what nobody needs: images without a name, layers without an image, and what the options say.

    What a running command uses stays.
    """
    seconds = _number(older_than, "smhdw") if older_than else None
    pruned = Store.default().prune(seconds, _number(limit, "kMGT") if limit else None)
    for image in pruned.images:
        output.say(f"removed {', '.join(image.tags) or image.image_id}")
    output.say(f"freed {output.size(pruned.freed)}")
    return 0


def _number(text: str, units: str) -> int:
    match = re.fullmatch(rf"([0-9]{{1,15}})([{units}]?)", text)
    if match is None:
        raise UsageError("bad-number", f"{text} is no number that I know", f"give digits and one of {', '.join(units)}")
    return int(match[1]) * _UNITS[match[2]]


def _row(image: StoredImage, tag: str) -> tuple[str, ...]:
    labels = image.labels
    facts = (labels.get(f"io.corebox.{name}", "") for name in ("executable", "signal", "time"))
    return (tag, image.image_id.removeprefix("sha256:")[:12], output.size(image.size), *facts)


def _tree(images: Sequence[StoredImage]) -> Iterator[str]:
    """Every image with its layers; the bytes that other images have too are counted once in the last line."""
    users: dict[str, int] = {}
    for image in images:
        for digest in {layer.digest for layer in image.layers}:
            users[digest] = users.get(digest, 0) + 1
    for image in images:
        yield f"{', '.join(image.tags) or image.image_id}  {output.size(image.size)}"
        for layer in image.layers:
            yield "  " + _branch(layer, users[layer.digest])
    once = sum({layer.digest: layer.size for image in images for layer in image.layers}.values())
    yield f"{output.size(sum(image.size for image in images))} in {len(images)} images, {output.size(once)} on disk"


def _branch(layer: Layer, users: int) -> str:
    shared = f"shared by {users} images" if users > 1 else "of this image alone"
    return f"{layer.kind:8} {output.size(layer.size):>9}  {layer.digest[:19]}  {shared}"


def _document(image: StoredImage) -> dict[str, object]:
    layers = [{"kind": layer.kind, "digest": layer.digest, "size": layer.size} for layer in image.layers]
    return {
        "image_id": image.image_id,
        "tags": list(image.tags),
        "size": image.size,
        "labels": dict(image.labels),
        "layers": layers,
    }
