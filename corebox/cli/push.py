"""``corebox push``."""

from pathlib import Path

import click

from corebox.actions.push import PushOptions, push
from corebox.actions.subject import resolve
from corebox.cli import options, output
from corebox.cli.complete import IMAGE
from corebox.cli.meter import meter
from corebox.registry.access import Access
from corebox.registry.push import COMPRESSIONS
from corebox.store.store import Store


@click.command("push", short_help="Push a crash to a registry.")
@options.subject
@click.argument("target", type=IMAGE, required=False, metavar="[HOST/]REPOSITORY[:TAG]")
@click.option(
    "--compression",
    type=click.Choice(sorted(COMPRESSIONS)),
    default="gzip",
    show_default=True,
    help="Every engine can pull gzip; Docker before 23 cannot pull zstd.",
)
@options.registry
@options.identity
def command(
    subject: str,
    target: str | None,
    compression: str,
    ca_file: Path | None,
    plain_http: bool,
    registry: str | None,
    identity: Path | None,
) -> int:
    """Push a crash to a registry, where colleagues open it with corebox shell, or with docker run -it.

    Only what the registry lacks is sent. Credentials are those of docker login or podman login.
    """
    store = Store.default()
    chosen = PushOptions(target, Access(ca_file, plain_http), compression, registry)
    pushed = push(store, resolve(store, subject, identity=identity), chosen, output.progress(), meter("pushing"))
    output.table((layer.kind, output.size(layer.size), layer.how, layer.digest[:19]) for layer in pushed.layers)
    output.say(f"sent       {output.size(pushed.sent)}")
    output.say(f"digest     {pushed.digest}")
    output.say(f"open it    corebox shell {pushed.reference}")
    return 0
