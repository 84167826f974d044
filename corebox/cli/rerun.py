"""``corebox rerun``."""

import sys
from pathlib import Path

import click

from corebox.actions.rerun import prepare_rerun, signal_of
from corebox.actions.subject import Pulling, resolve
from corebox.cli import options, output
from corebox.cli.places import places as places_options
from corebox.cli.pulling import pulling as with_pulling
from corebox.locate.places import SymbolOptions
from corebox.store.store import Store


@click.command(
    "rerun",
    short_help="Start the customer's program again, in a sandbox.",
    context_settings={"allow_interspersed_args": False},
)
@options.identity
@places_options
@options.engine
@with_pulling
@options.subject
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    *,
    subject: str,
    arguments: tuple[str, ...],
    identity: Path | None,
    places: tuple[str, ...],
    engine: str,
    pulling: Pulling,
) -> int:
    """Start the customer's program again, with exactly the files it had.

    For example: corebox rerun crash.corebox -- --config x

    This runs the customer's code, which no other command does. It runs in the sandbox that gdb runs in: no network,
    no access to this machine, no files but those of the bundle; what it writes is discarded. corebox's own options come
    before SUBJECT, the program's arguments after it. corebox passes on its output and exit status.
    """
    store = Store.default()
    found = resolve(store, subject, pulling, identity)
    tty = sys.stdin.isatty() and sys.stdout.isatty()
    words = arguments[1:] if arguments[:1] == ("--",) else arguments
    wanted = SymbolOptions(places, ca_file=pulling.ca_file, plain_http=pulling.plain_http)
    with prepare_rerun(store, found, words, engine, output.progress(), output.note, wanted) as ready:
        for notice in ready.notices:
            output.note(f"note: {notice}")
        status = ready.engine.attach(ready.sandbox, ready.command, tty)
    if name := signal_of(status):
        output.note(f"note: it was killed by {name}")
    return status
