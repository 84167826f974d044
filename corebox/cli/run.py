"""``corebox run``."""

import sys
from pathlib import Path

import click

from corebox.actions.run import run
from corebox.cli import options
from corebox.cli.output import progress
from corebox.cli.session import Session, session
from corebox.store.store import Store


@click.command("run", short_help="Run a script (.py or .gdb) in gdb on a crash.")
@options.subject
@click.argument("script", type=options.PATH)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@options.output_folder
@session
@click.option("--time-limit", default=300.0, show_default=True, metavar="SECONDS", help="Time limit for gdb.")
def command(
    *,
    session: Session,
    subject: str,
    script: Path,
    arguments: tuple[str, ...],
    output: Path | None,
    time_limit: float,
) -> int:
    """Run a script (.py or .gdb) in gdb on a crash, in the sandbox; corebox passes on its output and exit status.

    A Python script has gdb's own module, and its arguments in sys.argv; a gdb script has them as $arg0, $arg1, ...,
    and their number as $argc. Options of the script follow --: corebox run crash.corebox threads.py 5 -- --all
    """
    store = Store.default()
    chosen = session.options._replace(output=output)
    done = run(store, session.find(store, subject), script, arguments, time_limit, chosen, progress())
    sys.stderr.buffer.write(done.errors)
    sys.stderr.flush()
    sys.stdout.buffer.write(done.output)
    sys.stdout.flush()
    return done.status
