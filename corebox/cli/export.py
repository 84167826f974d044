"""``corebox export``."""

from pathlib import Path

import click

from corebox.actions.export import export
from corebox.actions.subject import resolve
from corebox.cli import options, output
from corebox.errors import UsageError
from corebox.store.store import Store


@click.command("export", short_help="Extract the original core or the bundle.")
@options.subject
@click.option("--core", type=options.FILE, metavar="FILE", help="Write the original core file, sparse as it was.")
@click.option("--bundle", type=options.FILE, metavar="FILE", help="Write the bundle that the image was built from.")
def command(subject: str, core: Path | None, bundle: Path | None) -> int:
    """Extract the original core or the bundle, bit for bit, out of an image."""
    if core is None and bundle is None:
        raise UsageError("nothing-to-export", "nothing to export", "give --core FILE, --bundle FILE, or both")
    store = Store.default()
    written = export(store, resolve(store, subject), core, bundle)
    if core is not None:
        output.say(f"core    {core}")
    if written is not None:
        output.say(f"bundle  {written.path}, {output.size(written.size)}, identity {written.identity}")
    return 0
