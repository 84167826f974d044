"""``corebox pull``."""

from pathlib import Path

import click

from corebox.cli import options, output
from corebox.cli.meter import meter
from corebox.registry.access import Access
from corebox.registry.pull import pull_image
from corebox.registry.reference import parse_reference, within
from corebox.store.store import Store


@click.command("pull", short_help="Pull an image from a registry into the store.")
@click.argument("reference", metavar="[HOST/]REPOSITORY[:TAG]")
@options.registry
def command(reference: str, ca_file: Path | None, plain_http: bool, registry: str | None) -> int:
    """Pull an image from a registry into the store; only the layers that the store lacks.

    corebox shell HOST/REPOSITORY:TAG pulls by itself what was never pulled; this fetches what is there now.
    """
    access = Access(ca_file, plain_http)
    pulled = pull_image(Store.default(), parse_reference(within(registry, reference)), access, meter("pulling"))
    output.table((layer.kind, output.size(layer.size), layer.how, layer.digest[:19]) for layer in pulled.layers)
    output.say(f"fetched    {output.size(pulled.fetched)}")
    output.say(f"image      {pulled.image.image_id}")
    output.say(f"open it    corebox shell {pulled.image.tags[0]}")
    return 0
