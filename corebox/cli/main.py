"""The program: its commands, and the one place where an error becomes a message and an exit status."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

import corebox
from corebox.cli import output
from corebox.errors import CoreboxError, HostError, came_of_interruption
from corebox.gather.summary import printable

INTERRUPTED = 130  # 128 + SIGINT, as shells have it

_STORY = """Open a customer's core file with exactly the files it was mapped from.

\b
Where it crashed:   corebox gather CORE -o crash.corebox
                    (or the single file corebox-gather.pyz: corebox gather --make-zipapp)
At your desk:       corebox info crash.corebox      what crashed, how
                    corebox shell crash.corebox     gdb on it, in a sandbox
                    corebox build crash.corebox     an image to share
                    corebox push crash.corebox registry.example.com/team/crash:1
At a colleague's:   corebox shell registry.example.com/team/crash:1

\b
SUBJECT is a bundle file, the name or ID of an image in the store, an image in a registry, or, for info and
verify, a bare core.
Exit status: 0 done; 1 done, but something is not right; 2 wrong usage; 3 bad input; 4 this machine lacks
something; 5 a bug in corebox.
"""


# Where each command is, in the order in which the help lists them.
COMMANDS = {
    "gather": "gather:command",
    "request": "request:command",
    "info": "info:command",
    "verify": "verify:command",
    "shell": "shell:command",
    "run": "run:command",
    "report": "report:command",
    "similar": "similar:command",
    "dap": "dap:command",
    "ide": "ide:command",
    "build": "build:command",
    "export": "export:command",
    "push": "push:command",
    "pull": "pull:command",
    "images": "images:images",
    "rm": "images:remove",
    "prune": "images:prune",
    "toolbox": "toolbox:command",
    "doctor": "doctor:command",
}


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


@click.command(cls=_Commands, help=_STORY, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(corebox.__version__, prog_name="corebox")
def program() -> None:
    """The group of all commands; its help is the story above."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run corebox with ``arguments`` (the process's if None) and return the exit status."""
    try:
        status = program.main(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except CoreboxError as error:
        output.complain(error)
        return INTERRUPTED if came_of_interruption(error) else error.exit_status
    except (KeyboardInterrupt, click.Abort):
        output.note("interrupted; nothing half-made was left")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has seen enough. Nothing may be written to it when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        hint = "check permissions, disk and limits; corebox doctor tells more"
        output.complain(HostError("system-refuses", f"the system refuses: {error}", hint))
        return HostError.exit_status
    except Exception as error:  # noqa: BLE001  # the one place that turns a bug of ours into an exit status
        if os.environ.get("COREBOX_DEBUG"):
            traceback.print_exc()
        output.complain(_bug(error))
        return CoreboxError.exit_status


def _show(error: click.ClickException) -> None:
    """Words of the command line are data too: they may be the names of files that a customer made."""
    if isinstance(error, click.UsageError) and not isinstance(error, click.MissingParameter):
        error = click.UsageError(printable(error.format_message()), error.ctx)
    error.show()


def _bug(error: Exception) -> CoreboxError:
    message = f"a bug in corebox: {type(error).__name__}: {error}"
    return CoreboxError("bug", message, "please report it with the output of the same command under COREBOX_DEBUG=1")
