"""The program and its commands."""

import atexit
import gc
import importlib
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from corebox.cli import colour
from corebox.cli.commands import COMMANDS, GROUPS
from corebox.cli.config import defaults_of
from corebox.cli.failure import explain
from corebox.errors import UsageError

# When Python ends it looks for garbage among all that was imported, for 40 ms, before the memory is given back anyhow.
atexit.register(gc.freeze)

_STORY = """Open a customer's core file with exactly the files it was mapped from.

\b
Where it crashed:   corebox gather CORE -o crash.corebox
                    (or the single file corebox-gather.pyz: corebox gather --make-zipapp)
At your desk:       corebox info crash.corebox      what crashed, how
                    corebox shell crash.corebox     gdb on it, in a sandbox
                    corebox build crash.corebox     an image to share
                    corebox push crash.corebox registry.example.com/team/crash:1
For a colleague:    corebox shell registry.example.com/team/crash:1

More: corebox help COMMAND, or one of the topics subject, status, environment, places.
"""


_VERSION_HELP = "Show the versions of corebox, Python and gdb."


def _say_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from corebox.cli.version import versions  # noqa: PLC0415  # most commands need nothing of it

        for line in versions():
            click.echo(line)
        context.exit()


class _Commands(click.Group):
    """The commands, each imported when it is asked for: what one needs another need not wait for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(f"corebox.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by what a person wants."""
        width = max(map(len, COMMANDS))
        for title, names in GROUPS.items():
            found = [(name.ljust(width), self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                limit = formatter.width - width - 6
                formatter.write_dl([(name, each.get_short_help_str(limit)) for name, each in found if each])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            resolved = super().resolve_command(ctx, args)
            if resolved[1] is not None and not {"-h", "--help"} & set(args):
                ctx.default_map = {name: defaults_of(resolved[1])}
            return resolved
        import difflib  # noqa: PLC0415  # only for a slip

        close = [f"corebox {each}" for each in difflib.get_close_matches(name, COMMANDS, cutoff=0.7)]
        if Path(name).is_file():
            close = [f"corebox info {name}", f"corebox shell {name}"]
        hint = f"try {' or '.join(close)}" if close else "corebox --help lists the commands"
        raise UsageError("no-such-command", f"unknown command: {name}", hint)


@click.command(cls=_Commands, help=_STORY, context_settings={"help_option_names": ["-h", "--help"]})
@colour.option
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_say_version, help=_VERSION_HELP)
def program() -> None:
    """The group of all commands; its help is the story above."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run corebox with ``arguments`` (the process's if None) and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = program.main(args=words, prog_name="corebox", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except SystemExit as ended:
        if ended.code == 1:  # click's answer to a reader of our output that has seen enough
            return explain(BrokenPipeError())
        try:
            sys.stdout.flush()  # argparse leaves its help to Python's end, which would complain
        except BrokenPipeError as error:
            return explain(error)
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the one place for what nobody else caught
        return explain(error, _want_json(words))


def _want_json(words: Sequence[str]) -> bool:
    """Whether machines read what a command prints; what stands behind ``--`` is gdb's."""
    ours = list(itertools.takewhile("--".__ne__, words))
    return "--json" in ours or "--format=json" in ours or ("--format", "json") in itertools.pairwise(ours)
