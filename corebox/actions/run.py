"""Run a script in gdb on a crash, in the sandbox, and give back what it wrote."""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from corebox.actions.session import SessionOptions, prepare_session
from corebox.actions.subject import Found
from corebox.debugger.session import SCRIPT
from corebox.engine.sandbox import Finished
from corebox.errors import InputError, UsageError
from corebox.store.store import Store

SUFFIXES = (".py", ".gdb")


def run(
    store: Store,
    subject: Found,
    script: Path,
    arguments: Sequence[str],
    time_limit: float,
    options: SessionOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> Finished:
    """Run ``script`` when the core is open; what gdb says while it opens it goes to the errors.

    The ``arguments`` are in ``sys.argv`` of a Python script, and in ``$argc`` and ``$arg0`` and so on of gdb's, where
    the arguments of its own commands are (gdb manual, "User-defined Commands").

    The status is gdb's: not 0 if the script fails (gdb manual, "Mode Options": -batch).

    Raises:
        UsageError: ``bad-script`` for a name that tells gdb no language.
        InputError: ``no-such-file``, and those of ``prepare_session``.
        HostError: ``time-limit``, and those of ``prepare_session``.
    """
    if script.suffix not in SUFFIXES:
        hint = "name it NAME.py for Python, NAME.gdb for gdb commands"
        raise UsageError("bad-script", f"{script} is neither a .py nor a .gdb file", hint)
    if not script.is_file():
        raise InputError("no-such-file", f"{script} does not exist", "check the name: ls -l")
    # Told from all that the core makes gdb print: nobody can know it beforehand.
    mark = secrets.token_hex(16)
    words = ("-batch", "-ex", _hand_over(script, arguments), "-ex", f"echo {mark}\\n", "-x", SCRIPT + script.suffix)
    chosen = options._replace(script=script, gdb_arguments=words)
    with prepare_session(store, subject, chosen, progress) as session:
        done = session.engine.run(session.sandbox, session.command, time_limit)
    opening, _, output = done.output.partition(mark.encode() + b"\n")
    return Finished(done.status, output, opening + done.errors)


def _hand_over(script: Path, arguments: Sequence[str]) -> str:
    """The command of gdb that tells the script its arguments; all that is not ASCII is escaped."""
    values = {"argc": len(arguments), **{f"arg{number}": word for number, word in enumerate(arguments)}}
    known = f"[gdb.set_convenience_variable(*each) for each in {[*values.items()]!a}]"
    return f"python import sys; sys.argv = {[script.name, *arguments]!a}; {known}"
