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
@click.option(
    "--minidump",
    type=options.FILE,
    metavar="FILE",
    help="Write a minidump for crash reporters (Sentry, Socorro, Backtrace): threads, registers, stacks, modules with "
    "build IDs, the signal; x86_64 only.",
)
@options.identity
@with_pulling
def command(
    *,
    subject: str,
    core: Path | None,
    bundle: Path | None,
    oci_archive: Path | None,
    minidump: Path | None,
    identity: Path | None,
    pulling: Pulling,
) -> int:
    """Extract the original core or bundle, bit for bit, or write the image to a file."""
    wanted = ExportOptions(core, bundle, oci_archive, minidump)
    if not any(wanted):
        hint = "give --core FILE, --bundle FILE, --oci-archive FILE, --minidump FILE, or several of them"
        raise UsageError("nothing-to-export", "nothing to export", hint)
    store = Store.default()
    found = resolve(store, subject, pulling, identity)
    keep_subject(found, *wanted)
    written = export(store, found, wanted)
    if core is not None:
        output.say_file("core     ", core)
    if written.bundle is not None:
        made = written.bundle
        output.say_file("bundle   ", Path(made.path), f", {output.size(made.size)}, identity {made.identity}")
    if written.minidump is not None and minidump is not None:
        output.say_file("minidump ", minidump, f", {output.size(written.minidump)}")
    if written.archive is not None and oci_archive is not None:
        output.say_file("archive  ", oci_archive, f", {output.size(written.archive)}")
        output.say(f"open it  corebox shell oci-archive:{oci_archive}")
    return 0
