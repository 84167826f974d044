"""``corebox shell``."""

import sys
from pathlib import Path

import click

from corebox.actions.shell import ShellOptions, prepare_session
from corebox.actions.subject import Pulling, resolve
from corebox.cli import options, output
from corebox.cli.meter import meter
from corebox.store import Store


@click.command("shell")
@options.subject
@click.option("-c", "--core", type=click.Path(path_type=Path), metavar="CORE", help="Another core of the same program.")
@click.option(
    "-e", "--executable", type=click.Path(path_type=Path), metavar="EXE", help="Another executable, e.g. unstripped."
)
@options.symbols
@options.identity
@options.engine
@options.registry
@options.no_customer_code
@click.argument("gdb_arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    subject: str,
    core: Path | None,
    executable: Path | None,
    symbols: tuple[Path, ...],
    identity: Path | None,
    engine: str,
    ca_file: Path | None,
    plain_http: bool,
    no_customer_code: bool,
    gdb_arguments: tuple[str, ...],
) -> int:
    """Open gdb on a crash, in a sandbox without network, with nothing of this machine in it.

    A bundle is built first if need be. What follows -- goes to gdb: corebox shell crash.corebox -- -batch -ex bt
    """
    store = Store.default()
    chosen = ShellOptions(core, executable, engine, gdb_arguments, not no_customer_code, symbols=symbols)
    pulling = Pulling(meter("pulling"), ca_file, plain_http)
    with prepare_session(store, resolve(store, subject, pulling, identity), chosen, output.progress()) as session:
        for notice in session.notices:
            output.note(f"note: {notice}")
        tty = sys.stdin.isatty() and sys.stdout.isatty()
        return session.engine.attach(session.sandbox, session.command, tty)
