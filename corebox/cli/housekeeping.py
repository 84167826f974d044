"""``corebox rm`` and ``corebox prune``."""

import sys
from collections.abc import Sequence

import click

from corebox.actions.prune import PruneOptions, sweep
from corebox.actions.prune import prune as prune_store
from corebox.cli import output, units
from corebox.cli.complete import IMAGE
from corebox.printable import counted
from corebox.store.store import Store
from corebox.store.values import StoredImage


@click.command("rm", short_help="Remove images from the store.")
@click.argument("references", type=IMAGE, nargs=-1, required=True, metavar="IMAGE...")
def remove(references: tuple[str, ...]) -> int:
    """Remove images from the store, with the layers that no other image needs.

    If an image has several names, only the given one is removed.
    """
    store = Store.default()
    freed = 0
    for reference in references:
        in_part = next((each for each in store.partial_images() if reference in each.tags), None)
        image = in_part or store.find(reference)
        if reference in image.tags and len(image.tags) > 1:
            store.untag(reference)
        else:
            freed += store.remove(image)
        output.say(f"removed {reference}")
    output.say(f"freed {output.size(freed + sweep(store))}")
    return 0


@click.command("prune", short_help="Remove unused images and layers from the store.")
@click.option("--older-than", metavar="TIME", help="Also images not used for TIME: 12h, 30d, 8w.")
@click.option(
    "--limit", metavar="SIZE", help="Also the least recently used images, until the rest fits SIZE: 500M, 20G."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("-y", "--yes", is_flag=True, help="Remove images without asking.")
def prune(older_than: str | None, limit: str | None, dry_run: bool, yes: bool) -> int:
    """Remove what is no longer needed: untagged images, unused layers, old toolboxes, leftovers in engines.

    At a terminal it asks before removing images. What a running command uses is kept.
    """
    seconds = units.seconds("--older-than", older_than) if older_than is not None else None
    size = units.size("--limit", limit) if limit is not None else None
    asks = sys.stdin.isatty() and not yes
    removed = prune_store(Store.default(), PruneOptions(seconds, size, dry_run), _confirm if asks else lambda _: True)
    if removed is None:
        output.note("nothing was removed")
        return 0
    would = "would " if dry_run else ""
    for name in (*map(_name, removed.images), *removed.in_engines):
        output.say(f"{would}remove{'' if dry_run else 'd'} {name}")
    output.say(f"{would}free{'' if dry_run else 'd'} {output.size(removed.freed)}")
    return 0


def _confirm(images: Sequence[StoredImage]) -> bool:
    for image in images:
        output.note(f"  {_name(image)}  {output.size(image.size)}")
    return click.confirm(f"Remove {counted(len(images), 'image')}?", err=True)


def _name(image: StoredImage) -> str:
    return ", ".join(image.tags) or image.image_id
