"""Customers send crashes: ``corebox fleet serve`` and ``token``."""

from datetime import datetime, timezone

import click

from corebox.cli import output
from corebox.errors import InputError
from corebox.fleet import readers, tokens
from corebox.fleet.database import open_fleet
from corebox.fleet.server import serve as serve_uploads
from corebox.fleet.uploads import Uploads

_GB = 10**9


@click.command("serve", short_help="Receive crashes over HTTP, and show them.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option("--keep-free", default=10.0, show_default=True, metavar="GB", help="Keep this much of the disk free.")
@click.option("--max-size", default=100.0, show_default=True, metavar="GB", help="Refuse larger bundles.")
@click.option(
    "--user-header",
    metavar="NAME",
    help="Believe this header about who has logged in, e.g. X-Forwarded-User: only behind a proxy that sets it.",
)
def serve(host: str, port: int, keep_free: float, max_size: float, user_header: str | None) -> int:
    """Receive crashes at /files/, each with a customer's token, and show them at /, until Ctrl-C.

    Resumable uploads by tus 1.0, as `corebox gather --upload` sends them, or a whole bundle by PUT. Put a proxy that
    speaks TLS in front of it. Say who may look with `corebox fleet reader add`.
    """
    serve_uploads(Uploads(open_fleet(), int(keep_free * _GB), int(max_size * _GB)), host, port, user_header)
    return 0


@click.group("token")
def token() -> None:
    """Manage the tokens with which customers send crashes; a token allows nothing else."""


@token.command("add")
@click.argument("customer")
@click.option("--product", default="", help="The product that crashes; default: the program's name.")
def add(customer: str, product: str) -> int:
    """Print a new token for crashes of CUSTOMER; it cannot be shown again."""
    output.say(tokens.make_token(open_fleet(), customer, product))
    return 0


@token.command("list")
def show() -> int:
    """List the valid tokens, without the tokens themselves."""
    rows = [("TOKEN", "CUSTOMER", "PRODUCT", "MADE")]
    for each in tokens.list_tokens(open_fleet()):
        made = datetime.fromtimestamp(each.made, timezone.utc)
        rows.append((str(each.number), each.customer, each.product or "-", f"{made:%Y-%m-%d}"))
    output.table(rows)
    return 0


@token.command("revoke")
@click.argument("number", type=int)
def revoke(number: int) -> int:
    """Revoke a token."""
    if not tokens.revoke_token(open_fleet(), number):
        raise InputError("no-such-token", f"the fleet has no token {number}", "list them: corebox fleet token list")
    return 0


@click.group("reader")
def reader() -> None:
    """Say who may look at the page of `corebox fleet serve`."""


@reader.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(readers.ROLES), default="viewer", show_default=True, help="What they may do.")
@click.option("--customer", help="Show them the crashes of this customer only.")
def add_reader(name: str, role: str, customer: str | None) -> int:
    """Print a token with which NAME logs in; it cannot be shown again.

    A viewer sees what is known about crashes. A debugger also reads reports, downloads bundles, and names, merges and
    splits families. An admin also says who may look. With `serve --user-header` NAME is what the proxy says.
    """
    output.say(readers.add_reader(open_fleet(), name, role, customer))
    return 0


@reader.command("list")
def show_readers() -> int:
    """List who may look."""
    found = readers.list_readers(open_fleet())
    rows = [(str(each.number), each.name, each.role, each.customer or "all") for each in found]
    output.table([("READER", "NAME", "ROLE", "CUSTOMER"), *rows])
    return 0


@reader.command("remove")
@click.argument("number", type=int)
def remove_reader(number: int) -> int:
    """Let a person look no longer."""
    if not readers.remove_reader(open_fleet(), number):
        raise InputError("no-such-token", f"the fleet has no reader {number}", "list them: corebox fleet reader list")
    return 0
