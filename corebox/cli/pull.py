"""``corebox pull``."""

from pathlib import Path

import click

from corebox.actions.pull import pull
from corebox.actions.subject import Pulling
from corebox.cli import options, output
from corebox.cli.complete import IMAGE
from corebox.cli.meter import meter
from corebox.store.store import Store


@click.command("pull", short_help="Pull an image into the store.")
@click.argument("reference", type=IMAGE, metavar="IMAGE")
@options.registry
def command(reference: str, ca_file: Path | None, plain_http: bool, registry: str | None) -> int:
    """Pull an image into the store, fetching only the layers that it lacks.

    IMAGE is [HOST/]REPOSITORY[:TAG], or what skopeo calls an image: docker://HOST/REPOSITORY:TAG, docker-daemon:NAME,
    containers-storage:NAME (Podman's), docker-archive:FILE[:NAME], oci:DIR[:NAME], oci-archive:FILE[:NAME].

    corebox shell IMAGE pulls an image that the store lacks; corebox pull also updates one that it has.
    """
    pulled = pull(Store.default(), reference, Pulling(meter("pulling"), ca_file, plain_http, registry))
    output.table((layer.kind, output.size(layer.size), layer.status, layer.digest[:19]) for layer in pulled.layers)
    output.say(f"fetched    {output.size(pulled.fetched)}")
    output.say(f"image      {pulled.image.image_id}")
    output.say(f"open it    corebox shell {next(iter(pulled.image.tags), pulled.image.image_id[7:19])}")
    return 0
