"""``corebox mcp``."""

from importlib.util import find_spec

import click

from corebox.actions.session import SessionOptions
from corebox.cli.fleet.needs import require_packages
from corebox.cli.session import Session, session
from corebox.errors import HostError
from corebox.store.store import Store

_HELP = """Serve crashes to an agent: bundles, images, or all bundles below a folder; by default, the current one.

An agent can look at these crashes only. gdb runs in the sandbox, on a copy of the core in which the values of the
environment are blanked. Answers come in pages and are
marked as data.

\b
claude mcp add corebox -- corebox mcp /srv/crashes
"""


@click.command("mcp", help=_HELP, short_help="Offer crashes to an agent (Model Context Protocol).")
@click.argument("subjects", nargs=-1, metavar="[SUBJECT|DIR]...")
@session
@click.option("--port", type=click.IntRange(1, 65535), help="Serve HTTP on this port of 127.0.0.1 instead of stdio.")
@click.option("--fleet", "with_fleet", is_flag=True, help="Offer the crashes of the fleet, and a tool that finds them.")
@click.option("--no-redact", is_flag=True, help="Let the agent see the values of the environment.")
def command(session: Session, subjects: tuple[str, ...], port: int | None, with_fleet: bool, no_redact: bool) -> int:
    """Serve, as ``_HELP`` says, until the agent goes."""
    if find_spec("mcp") is None:
        raise HostError("no-mcp", "the tools for agents need the package mcp", "pip install 'corebox[mcp]'")
    from corebox.mcp.crashes import Choice, Crashes  # noqa: PLC0415  # of an extra
    from corebox.mcp.server import make_server  # noqa: PLC0415

    plain: SessionOptions = session.silent(lambda _: None).options
    archive = None
    if with_fleet:
        require_packages()
        from corebox.fleet.database import open_fleet  # noqa: PLC0415
        from corebox.fleet.offered import OfferedFleet  # noqa: PLC0415

        archive = OfferedFleet(open_fleet())
    default = () if with_fleet else (".",)
    choice = Choice(subjects or default, plain, redact=not no_redact, archive=archive)
    with Crashes(Store.default(), choice) as crashes:
        server = make_server(crashes)
        if port:
            server.run("streamable-http", port=port)
        else:
            server.run()
    return 0
