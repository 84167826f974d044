"""The one place where an error becomes a message and an exit status."""

import os
import sys

import click

from corebox.cli import output
from corebox.errors import INTERRUPTION, CoreboxError, UsageError, as_corebox_error, caused_by_interruption

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def explain(error: BaseException, as_json: bool = False) -> int:
    """Say what went wrong, with ``as_json`` also as a document, and return the exit status."""
    if caused_by_interruption(error) or isinstance(error, click.Abort):
        output.note(INTERRUPTION)
        return INTERRUPTED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # The reader of our output has seen enough. Nothing may be written to it when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    ours = _as_ours(error)
    output.complain(ours)
    if as_json:
        output.say_json(ours.to_json())
    return ours.exit_status


def _as_ours(error: BaseException) -> CoreboxError:
    if not isinstance(error, click.ClickException):
        return as_corebox_error(error, "; see corebox doctor")
    message = error.format_message().rstrip(".").replace("\n\t", " ")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return UsageError("wrong-usage", message, "see corebox COMMAND --help")
    path, command = context.command_path, context.command
    hint = f"{path} {' '.join(command.collect_usage_pieces(context))}; see {path} --help"
    # Where gdb's own options belong, for who gives them to corebox.
    takes_more = any(each.name == "gdb_arguments" for each in command.params)
    more = "; put gdb's own options after --" if isinstance(error, click.NoSuchOption) and takes_more else ""
    return UsageError("wrong-usage", message, hint + more)
