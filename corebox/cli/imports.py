"""``corebox import``."""

import time
from pathlib import Path

import click

from corebox.actions.imported import import_crash
from corebox.cli import options, output
from corebox.cli.places import places as places_options
from corebox.cli.recover import tell
from corebox.locate.gaps import gap_notices
from corebox.printable import printable
from corebox.store.store import Store

_HELP = """Write a bundle of a crash that another tool keeps.

FILE is a report of apport (.crash), a problem folder of ABRT or retrace-server or a tar of one, an export of systemd's
journal, a core of its store, or a tar or zip with a core and files: tt coredump pack, OpenJ9's jpackcore,
minicoredumper. Files that come with the core are taken if it proves them. Exit status 1: something is still missing.

\b
corebox import _usr_bin_app.1000.crash --from docker://debian:12 -o crash.corebox
corebox import core.20260102.zip -o crash.corebox
"""


@click.command("import", help=_HELP, short_help="Make a bundle of what apport, ABRT, systemd and others keep.")
@click.argument("file", type=options.PATH, metavar="FILE")
@places_options
@click.option("-o", "--output", "out", type=options.PATH, required=True, metavar="FILE", help="The bundle to write.")
def command(*, file: Path, places: tuple[str, ...], out: Path) -> int:
    """Print what was found, as ``_HELP`` says."""
    begun = time.monotonic()
    imported = import_crash(Store.default(), file, places, out, output.progress())
    for notice in (*imported.notices, *gap_notices(imported.outcome.search, str(out))):
        output.note(f"note: {printable(notice)}")
    assert imported.outcome.written  # it always is
    return tell(imported.outcome.written, time.monotonic() - begun, str(out), bool(imported.outcome.search.gaps))
