"""``corebox known``."""

from pathlib import Path

import click

from corebox.actions.known import known_files
from corebox.cli import options, output
from corebox.cli.complete import PLACE
from corebox.gather.output import require_harmless
from corebox.locate.places import SymbolOptions
from corebox.printable import counted, printable
from corebox.store.store import Store


@click.command("known", short_help="List the build IDs of your releases, for small bundles.")
@click.argument("releases", type=PLACE, nargs=-1, required=True, metavar="PLACE...")
@options.output_file
def command(releases: tuple[str, ...], out: Path | None) -> int:
    """List the build IDs of the programs and libraries in folders, packages, archives or container images.

    Give the list to your customers: gather --known FILE leaves out what is in it, and you open their bundles with
    --from PLACE of the same releases. For example: corebox known /releases/4.2 -o known.txt
    """
    if out is not None:
        require_harmless(str(out), [place for place in releases if Path(place).is_file()], force=True)
    found = known_files(Store.default(), SymbolOptions(releases), output.progress())
    lines = [f"{build_id}  {printable(name)}" for build_id, name in found]
    if out is None:
        for line in lines:
            output.say(line)
    else:
        out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    output.note(f"{counted(len(found), 'build ID')}; your customers gather with: --known {out.name if out else 'FILE'}")
    return 0
