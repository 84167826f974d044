"""``corebox export``."""

import shlex
from pathlib import Path

import click

from corebox.actions.export import Exported, ExportOptions, export
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
@click.option(
    "--sysroot",
    type=click.Path(path_type=Path, file_okay=False, readable=False),
    metavar="DIR",
    help="Copy the files of the crash, symbols included, to the new folder DIR, for other debuggers: gdb, lldb, CLion.",
)
@click.option(
    "--zip",
    "zip_file",
    type=options.FILE,
    metavar="FILE",
    help="Write the core and these files as a zip file, without links, e.g. for Visual Studio on Windows.",
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
    sysroot: Path | None,
    zip_file: Path | None,
    identity: Path | None,
    pulling: Pulling,
) -> int:
    """Extract the original core or bundle, bit for bit, or write the image to a file."""
    wanted = ExportOptions(core, bundle, oci_archive, minidump, sysroot, zip_file)
    if not any(wanted):
        hint = "give one or several of --core, --bundle, --oci-archive, --minidump, --sysroot, --zip"
        raise UsageError("nothing-to-export", "nothing to export", hint)
    store = Store.default()
    found = resolve(store, subject, pulling, identity)
    keep_subject(found, *wanted)
    _tell(wanted, export(store, found, wanted))
    return 0


def _tell(wanted: ExportOptions, written: Exported) -> None:
    """What was written where, and what to do with it."""
    if wanted.core:
        output.say_file("core     ", wanted.core)
    if written.bundle is not None:
        made = written.bundle
        output.say_file("bundle   ", Path(made.path), f", {output.size(made.size)}, identity {made.identity}")
    for label, file, size in (
        ("minidump ", wanted.minidump, written.minidump),
        ("zip      ", wanted.zip, written.zip),
        ("archive  ", wanted.oci_archive, written.archive),
    ):
        if file and size is not None:
            output.say_file(label, file, f", {output.size(size)}")
    if wanted.oci_archive:
        output.say(f"open it  corebox shell oci-archive:{wanted.oci_archive}")
    if wanted.sysroot:
        output.say_file("sysroot  ", wanted.sysroot)
        words = ("gdb", "-iex", f"set sysroot {wanted.sysroot}", written.program or "PROGRAM", wanted.core or "CORE")
        output.say(f"open it  {shlex.join(map(str, words))}")
