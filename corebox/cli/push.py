"""``corebox push``."""

from pathlib import Path

import click

from corebox.actions.push import PushOptions, plan, push
from corebox.actions.subject import resolve
from corebox.cli import options, output
from corebox.cli.complete import IMAGE
from corebox.cli.meter import meter
from corebox.registry.access import Access
from corebox.registry.plan import COMPRESS, MOUNT, PushPlan
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
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@options.registry
@options.identity
def command(
    subject: str,
    target: str | None,
    compression: str,
    dry_run: bool,
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
    resolved = resolve(store, subject, identity=identity)
    if dry_run:
        _show(plan(store, resolved, chosen, output.progress()))
        return 0
    pushed = push(store, resolved, chosen, output.progress(), meter("pushing"))
    output.table((layer.kind, output.size(layer.size), layer.status, layer.digest[:19]) for layer in pushed.layers)
    output.say(f"sent       {output.size(pushed.sent)}")
    output.say(f"digest     {pushed.digest}")
    output.say(f"open it    corebox shell {pushed.reference}")
    return 0


def _show(planned: PushPlan) -> None:
    words = {MOUNT: "mount from", COMPRESS: "compress and send"}
    output.table(
        (each.kind, output.size(each.size), f"{words.get(each.does, each.does)} {each.source or ''}".rstrip())
        for each in planned.steps
    )
    output.say(f"to         {planned.reference}")
