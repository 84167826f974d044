"""The one place where an error becomes a message and an exit status."""

import os
import sys
import traceback

import click

from corebox.cli import output
from corebox.errors import CoreboxError, HostError, came_of_interruption
from corebox.gather.summary import printable

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def explain(error: BaseException) -> int:
    """Say what went wrong, and return the exit status."""
    if came_of_interruption(error) or isinstance(error, click.Abort):
        output.note("interrupted; nothing half-made was left")
        return INTERRUPTED
    match error:
        case click.ClickException():
            _show(error)
            return error.exit_code
        case CoreboxError():
            told = error
        case BrokenPipeError():
            # The reader of our output has seen enough. Nothing may be written to it when Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case OSError():
            hint = "check permissions, disk and limits; corebox doctor tells more"
            told = HostError("system-refuses", f"the system refuses: {error}", hint)
        case _:
            if os.environ.get("COREBOX_DEBUG"):
                traceback.print_exception(error)
            told = _bug(error)
    output.complain(told)
    return told.exit_status


def _show(error: click.ClickException) -> None:
    """Words of the command line are data too: they may be the names of files that a customer made."""
    if isinstance(error, click.UsageError) and not isinstance(error, click.MissingParameter):
        error = click.UsageError(printable(error.format_message()), error.ctx)
    error.show()


def _bug(error: BaseException) -> CoreboxError:
    message = f"a bug in corebox: {type(error).__name__}: {error}"
    return CoreboxError("bug", message, "please report it with the output of the same command under COREBOX_DEBUG=1")
