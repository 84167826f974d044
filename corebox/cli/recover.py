"""``corebox recover``."""

import shlex
import time
from pathlib import Path

import click

from corebox.actions.places import opened_places
from corebox.actions.recover import Written, recover
from corebox.actions.subject import keep_subject, resolve
from corebox.cli import options, output
from corebox.cli.places import places as places_options
from corebox.describe.crash import origin_lines
from corebox.errors import UsageError
from corebox.gather.summary import is_exact, summary_lines
from corebox.locate.gaps import gap_notices
from corebox.locate.places import SymbolOptions
from corebox.printable import printable
from corebox.store.store import Store

_HELP = """Find the files of a crash that did not come with it, and write a bundle that has them.

SUBJECT is a core, a bundle or an image. Each file is proved by the core: by the build ID in the memory of the process,
else by the pages that were dumped. Names prove nothing. Exit status 1: something is still missing.

\b
corebox recover core.1234 --from /releases/4.2 -o crash.corebox
corebox recover core.1234 --from docker://registry.example.com/shop/web:4.2 -o crash.corebox
"""


@click.command("recover", help=_HELP, short_help="Find the missing files of a crash and write a complete bundle.")
@options.subject
@places_options
@click.option("-o", "--output", "out", type=options.PATH, required=True, metavar="FILE", help="The bundle to write.")
@options.identity
def command(*, subject: str, places: tuple[str, ...], out: Path, identity: Path | None) -> int:
    """Print what was found, as ``_HELP`` says."""
    if not places:
        hint = "name one: --from PLACE; or set a default: from = [...] in the file that `corebox config` shows"
        raise UsageError("no-places", "there is no place to look in", hint)
    store, begun = Store.default(), time.monotonic()
    found = resolve(store, subject, identity=identity)
    keep_subject(found, out)
    opened = opened_places(store, SymbolOptions(places), output.progress())
    outcome = recover(store, found, opened.places, out, output.progress())
    for notice in (*opened.notices, *gap_notices(outcome.search, subject)):
        output.note(f"note: {printable(notice)}")
    assert outcome.written  # it always is
    return tell(outcome.written, time.monotonic() - begun, subject, bool(outcome.search.gaps))


def tell(written: Written, seconds: float, subject: str, has_gaps: bool) -> int:
    """Print what is in the bundle, and what to do next."""
    for line in summary_lines(written.manifest, written.bundle, seconds):
        output.say(line)
    for line in origin_lines(written.manifest):
        output.say(line)
    if has_gaps:
        output.say("next:      give more places: --from PLACE; or have the customer run the script that this writes:")
        output.say(f"           corebox request {shlex.quote(subject)} -o request.sh")
    else:
        output.say(f"next:      corebox shell {shlex.quote(written.bundle.path)}")
    return 0 if is_exact(written.manifest) else 1
