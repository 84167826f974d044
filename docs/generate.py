"""Writes ``docs/reference/commands.md`` from the commands themselves: ``make docs``."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from corebox.cli.main import program
from corebox.gather.options import make_parser

TARGET = Path(__file__).parent / "reference" / "commands.md"
_WIDTH = 100
_HEAD = """# Commands

Written by `docs/generate.py` from the program's own help; `corebox COMMAND --help` prints the same.
Exit statuses and errors: [errors.md](errors.md).
"""


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """All commands beneath ``group`` with their full names."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def render() -> str:
    """The whole page."""
    return _HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    yield _section("corebox", _help(program, "corebox"))
    for name, command in commands(program, "corebox"):
        yield _section(name, _gather_help() if name == "corebox gather" else _help(command, name))


def _section(name: str, text: str) -> str:
    return f"\n## {name}\n\n```\n{text.strip()}\n```\n"


def _help(command: click.Command, name: str) -> str:
    """The help as the program shows it: settings of the program, e.g. -h, hold for all commands beneath it."""
    above, _, last = name.rpartition(" ")
    parent = click.Context(program, info_name=above, **program.context_settings) if above else None
    settings = command.context_settings | {"max_content_width": _WIDTH, "terminal_width": _WIDTH}
    return command.get_help(click.Context(command, info_name=last, parent=parent, **settings))


def _gather_help() -> str:
    """The gatherer's options; argparse's own layout changes with the version of Python."""
    parser = make_parser()
    lines = [textwrap.fill(str(parser.description), _WIDTH), ""]
    for action in parser._actions:
        names = ", ".join(action.option_strings)
        value = "" if action.nargs == 0 else str(action.metavar or action.dest)
        help_text = textwrap.fill(
            str(action.help) % vars(action), _WIDTH, initial_indent="    ", subsequent_indent="    "
        )
        lines += [f"{names} {value}".strip(), help_text]
    return "\n".join(lines)


if __name__ == "__main__":
    TARGET.write_text(render())
