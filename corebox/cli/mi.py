"""``corebox mi``."""

import sys

import click

from corebox.actions.mi import serve, show_version
from corebox.actions.session import prepare_session
from corebox.cli import options
from corebox.cli.session import Session, session
from corebox.debugger.gdbwords import mi_arguments, parse_gdb_words
from corebox.store.store import Store


@click.command("mi", short_help="Let a client of gdb's machine interface debug a crash.")
@options.subject
@session
@click.argument("gdb_arguments", nargs=-1, type=click.UNPROCESSED)
def command(*, session: Session, subject: str, gdb_arguments: tuple[str, ...]) -> int:
    """Debug a crash from CLion, Emacs, Eclipse and others that start gdb and speak its machine interface (GDB/MI).

    The words after -- are those with which such a client starts gdb. Whatever it wants to open, it gets the crash.
    corebox ide prints what to put into the client's configuration.
    """
    words = parse_gdb_words(gdb_arguments)
    store = Store.default()
    notes: list[str] = []
    session = session.silent(notes.append)
    chosen = session.options._replace(
        gdb_arguments=mi_arguments(words),
        gdbinit=words.gdbinit,
        sources=(*session.options.sources, *words.sources),
    )
    with prepare_session(store, session.find(store, subject), chosen) as opened:
        if words.version:
            sys.stdout.buffer.write(show_version(opened))
            sys.stdout.flush()
        else:
            serve(opened._replace(notices=(*notes, *opened.notices)))
    return 0
