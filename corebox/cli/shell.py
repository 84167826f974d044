"""``corebox shell``."""

import sys
from pathlib import Path

import click

from corebox.actions.session import prepare_session
from corebox.cli import options
from corebox.cli.output import note, progress
from corebox.cli.session import Session, session
from corebox.debugger.session import PYTHON_PROMPT
from corebox.errors import UsageError
from corebox.store.store import Store


@click.command("shell", short_help="Open gdb on a crash, in a sandbox.")
@options.subject
@click.option("-c", "--core-file", "core", type=options.PATH, metavar="CORE", help="Another core of the same program.")
@click.option("-e", "--executable", type=options.PATH, metavar="EXE", help="Another executable, e.g. unstripped.")
@click.option("--gdbinit", type=options.PATH, metavar="FILE", help="Your own gdb commands, run first.")
@click.option("--python", is_flag=True, help="Python prompt with the gdb module, instead of gdb's prompt.")
@options.output_folder
@session
@click.argument("gdb_arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    *,
    session: Session,
    subject: str,
    core: Path | None,
    executable: Path | None,
    gdbinit: Path | None,
    python: bool,
    output: Path | None,
    gdb_arguments: tuple[str, ...],
) -> int:
    """Open gdb on a crash, in a sandbox without network or access to this machine's files.

    A bundle is built into an image first if necessary. Options after -- are passed to gdb:
    corebox shell crash.corebox -- -batch -ex bt
    """
    if executable == Path("x") and not executable.exists():
        hint = "put gdb's own options after --: corebox shell SUBJECT -- -ex COMMAND"
        raise UsageError("wrong-usage", "-ex is an option of gdb", hint)
    store = Store.default()
    tty = sys.stdin.isatty() and sys.stdout.isatty()
    chosen = session.options._replace(
        core=core,
        executable=executable,
        gdbinit=gdbinit,
        output=output,
        typed_at=tty,
        gdb_arguments=(*gdb_arguments, *(PYTHON_PROMPT if python else ())),
    )
    with prepare_session(store, session.find(store, subject), chosen, progress()) as opened:
        for notice in opened.notices:
            note(f"note: {notice}")
        return opened.engine.attach(opened.sandbox, opened.command, tty)
