"""The one place where an error becomes a message and an exit status."""

import os
import sys

import click

from corebox.cli import output
from corebox.errors import as_ours, came_of_interruption
from corebox.printable import printable

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def explain(error: BaseException) -> int:
    """Say what went wrong, and return the exit status."""
    if came_of_interruption(error) or isinstance(error, click.Abort):
        output.note("interrupted; nothing half-made was left")
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        _show(error)
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # The reader of our output has seen enough. Nothing may be written to it when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    ours = as_ours(error, "; corebox doctor tells more")
    output.complain(ours)
    return ours.exit_status


def _show(error: click.ClickException) -> None:
    """Words of the command line are data too: they may be the names of files that a customer made."""
    ours = isinstance(error, click.MissingParameter | click.exceptions.NoArgsIsHelpError)
    if isinstance(error, click.UsageError) and not ours:
        error = click.UsageError(printable(error.format_message()) + _hint(error), error.ctx)
    error.show()


def _hint(error: click.UsageError) -> str:
    """Where gdb's own options belong, for who gives them to corebox."""
    takes_more = error.ctx is not None and any(each.name == "gdb_arguments" for each in error.ctx.command.params)
    return " What is gdb's stands behind --" if isinstance(error, click.NoSuchOption) and takes_more else ""
