"""``corebox rm`` and ``corebox prune``."""

import re

import click

from corebox.cli import output
from corebox.errors import UsageError
from corebox.store.store import Store

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@click.command("rm", short_help="Remove images from the store.")
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


@click.command("prune", short_help="Remove from the store what nobody needs.")
@click.option("--older-than", metavar="TIME", help="Images not used for so long, e.g. 12h, 30d, 8w.")
@click.option("--limit", metavar="SIZE", help="The least recently used images, until the rest fits, e.g. 20G.")
def prune(older_than: str | None, limit: str | None) -> int:
    """Remove what nobody needs: images without a name, layers without an image, and what the options say.

    What a running command uses stays.
    """
    seconds = _number("--older-than", older_than, "smhdw") if older_than else None
    pruned = Store.default().prune(seconds, _number("--limit", limit, "kMGT") if limit else None)
    for image in pruned.images:
        output.say(f"removed {', '.join(image.tags) or image.image_id}")
    output.say(f"freed {output.size(pruned.freed)}")
    return 0


def _number(option: str, text: str, units: str) -> int:
    match = re.fullmatch(rf"([0-9]{{1,15}})([{units}]?)", text)
    if match is None:
        hint = f"give digits and one of {', '.join(units)}: {option} 30{units[-2]}"
        raise UsageError("bad-number", f"{option} {text} is not a number with a unit", hint)
    return int(match[1]) * _UNITS[match[2]]
