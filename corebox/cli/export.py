"""``corebox export``."""

from pathlib import Path

import click

from corebox.actions.export import ExportOptions, export
from corebox.actions.subject import Pulling, keep_subject, resolve
from corebox.cli import options, output
from corebox.cli.pulling import pulling as with_pulling
from corebox.errors import UsageError
from corebox.store.store import Store


@click.command("export", short_help="Extract the original core, the bundle, or the image as a file.")
@options.subject
@click.option("--core", type=options.FILE, metavar="FILE", help="Write the original core file, sparse as it was.")
@click.option("--bundle", type=options.FILE, metavar="FILE", help="Write the bundle that the image was built from.")
@click.option(
    "--oci-archive",
    type=options.FILE,
    metavar="FILE",
    help="Write the image, gdb included, for a machine without network: corebox shell oci-archive:FILE, docker load.",
)
@options.identity
@with_pulling
def command(
    *,
    subject: str,
    core: Path | None,
    bundle: Path | None,
    oci_archive: Path | None,
    identity: Path | None,
    pulling: Pulling,
) -> int:
    """Extract the original core or bundle, bit for bit, or write the image to a file."""
    if core is None and bundle is None and oci_archive is None:
        hint = "give --core FILE, --bundle FILE, --oci-archive FILE, or several of them"
        raise UsageError("nothing-to-export", "nothing to export", hint)
    store = Store.default()
    found = resolve(store, subject, pulling, identity)
    keep_subject(found, core, bundle, oci_archive)
    written = export(store, found, ExportOptions(core, bundle, oci_archive))
    if core is not None:
        output.say_file("core     ", core)
    if written.bundle is not None:
        made = written.bundle
        output.say_file("bundle   ", Path(made.path), f", {output.size(made.size)}, identity {made.identity}")
    if written.archive is not None and oci_archive is not None:
        output.say_file("archive  ", oci_archive, f", {output.size(written.archive)}")
        output.say(f"open it  corebox shell oci-archive:{oci_archive}")
    return 0
