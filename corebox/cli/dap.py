"""``corebox dap``."""

import click

from corebox.actions.dap import listen, serve_port, serve_streams
from corebox.actions.session import prepare_session
from corebox.cli import options, output
from corebox.cli.session import Session, session
from corebox.debugger.adapter import SPEAK
from corebox.store.store import Store


def _unseen(_step: str) -> None:
    """Progress where nobody looks."""


@click.command("dap", short_help="Let an editor or IDE debug a crash.")
@options.subject
@session
@click.option(
    "--listen",
    "address",
    metavar="[HOST:]PORT",
    help="Listen on this address for clients, instead of standard input and output.",
)
@click.option("--allow-remote", is_flag=True, help="Permit --listen on addresses other than loopback.")
@click.option("--send-sources", is_flag=True, help="Send source files, for an editor on another machine.")
@click.option("-i", "interpreter", hidden=True, help="gdb's own option, which Zed passes.")
def command(
    *,
    session: Session,
    subject: str,
    address: str | None,
    allow_remote: bool,
    send_sources: bool,
    interpreter: str | None,  # noqa: ARG001  # see its help
) -> int:
    """Debug a crash from an editor or IDE: gdb's Debug Adapter Protocol, from inside the sandbox.

    Whatever the client asks to attach to or launch, it gets the crash. corebox ide prints the client's configuration.
    """
    listening = listen(address, allow_remote) if address else None
    store = Store.default()
    notes: list[str] = []
    if listening is None:  # an editor's adapter may have its terminal, where the editor itself draws
        session = session.silent(notes.append)
    chosen = session.options._replace(gdb_arguments=SPEAK, opens=False)
    progress = output.progress() if listening else _unseen
    with prepare_session(store, session.find(store, subject), chosen, progress) as opened:
        # What has no name on the client's side gdb reads in the sandbox.
        sources = () if send_sources else opened.sources
        served = opened._replace(sources=sources, notices=(*notes, *opened.notices))
        if listening is None:
            serve_streams(served)
        else:
            for notice in opened.notices:
                output.note(f"note: {notice}")
            output.note("listening on {}:{}".format(*listening.getsockname()))
            serve_port(served, listening, output.complain)
    return 0
