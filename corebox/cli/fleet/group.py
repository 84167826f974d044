"""The commands of ``corebox fleet``."""

import importlib

import click

from corebox.cli.fleet.needs import require_packages

#: Where each is, in the order in which the help lists them.
_COMMANDS = {
    "init": "arrive:init",
    "add": "arrive:add",
    "work": "arrive:work",
    "serve": "serve:serve",
    "token": "serve:token",
    "reader": "serve:reader",
    "status": "ask:status",
    "top": "ask:top",
    "find": "ask:find",
    "show": "ask:show",
    "count": "compare:count",
    "changes": "compare:changes",
    "apart": "compare:apart",
    "again": "decide:again",
    "family": "decide:family",
    "hold": "decide:hold",
    "forget": "decide:forget",
}


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        if cmd_name not in _COMMANDS:
            return None
        require_packages()
        module, name = _COMMANDS[cmd_name].split(":")
        found: click.Command = getattr(importlib.import_module(f"corebox.cli.fleet.{module}"), name)
        return found


_HELP = """Many crashes in a database: counted, grouped and searched.

\b
corebox fleet add *.corebox --customer ACME --release 4.2
corebox fleet work --until-idle
corebox fleet top
corebox shell fleet:17

The database is SQLite in the store; PostgreSQL after `corebox fleet init postgresql://...`, or where COREBOX_FLEET
names it.
"""


@click.group("fleet", cls=_Group, help=_HELP, short_help="Count, group and search many crashes.")
def command() -> None:
    """The group; its help is above."""
