"""``corebox run``."""

import sys
from pathlib import Path

import click

from corebox.actions.run import run
from corebox.actions.shell import ShellOptions
from corebox.actions.subject import Pulling, resolve
from corebox.cli import options, output
from corebox.cli.meter import meter
from corebox.store import Store


@click.command("run")
@options.subject
@click.argument("script", type=click.Path(path_type=Path))
@options.symbols
@options.identity
@options.engine
@options.registry
@options.no_customer_code
@click.option("--time-limit", default=300.0, show_default=True, metavar="SECONDS", help="Stop it after so long.")
def command(
    subject: str,
    script: Path,
    symbols: tuple[Path, ...],
    identity: Path | None,
    engine: str,
    ca_file: Path | None,
    plain_http: bool,
    no_customer_code: bool,
    time_limit: float,
) -> int:
    """Run a script (.py or .gdb) in gdb on a crash, in the sandbox; its output and status become ours.

    A Python script has gdb's own module: corebox run crash.corebox threads.py
    """
    store = Store.default()
    chosen = ShellOptions(engine=engine, customer_code=not no_customer_code, symbols=symbols)
    pulling = Pulling(meter("pulling"), ca_file, plain_http)
    found = resolve(store, subject, pulling, identity)
    done = run(store, found, script, time_limit, chosen, output.progress())
    sys.stderr.buffer.write(done.errors)
    sys.stderr.flush()
    sys.stdout.buffer.write(done.output)
    sys.stdout.flush()
    return done.status
