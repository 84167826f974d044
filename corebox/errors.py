"""The one exception that corebox raises on purpose, in three kinds.

Every error carries a stable code, one sentence saying what is wrong, a hint naming the next thing to try, and
the exit status of the command line. ``docs/reference/errors.md`` has a section for each code.

Runs at the customer site: Python 3.6, standard library only.
"""

import os
from typing import Any, Dict, Optional


class CoreboxError(Exception):
    """A bug of ours unless a subclass says otherwise (exit status 5).

    Args:
        code: stable kebab-case name of the error, e.g. ``not-a-core``.
        message: one sentence that names the object and what is wrong with it.
        hint: what to do next, if possible a command; never empty.
        context: facts for machines (``--json``) and for the error's section in the docs.
    """

    exit_status = 5

    def __init__(self, code: str, message: str, hint: str, **context: object) -> None:
        super().__init__(message)
        if not hint:
            raise ValueError("an error without a hint helps nobody: " + code)
        self.code = code
        self.message = message
        self.hint = hint
        self.context = context

    def to_json(self) -> Dict[str, Any]:
        """What ``--json`` prints instead of a command's own document: ``schema/error-1.schema.json``."""
        facts = {"code": self.code, "message": self.message, "hint": self.hint, "exit_status": self.exit_status}
        return {"version": 1, "error": facts}


class UsageError(CoreboxError):
    """The command line makes no sense (exit status 2)."""

    exit_status = 2


class InputError(CoreboxError):
    """What we were given is not what it should be: not a core, a damaged or hostile bundle (exit status 3)."""

    exit_status = 3


class HostError(CoreboxError):
    """This machine lacks something: no engine, no space, an unreachable registry (exit status 4)."""

    exit_status = 4


#: What is said after Ctrl-C.
INTERRUPTION = "interrupted; no partial files were left behind"


def caused_by_interruption(error: BaseException) -> bool:
    """Whether it is Ctrl-C, or was raised on the way out of it.

    For instance, shutil.rmtree closes a descriptor a second time if it is interrupted in ``os.close`` (Python 3.11).
    """
    context = error.__context__
    return isinstance(error, KeyboardInterrupt) or (context is not None and caused_by_interruption(context))


def system_message(error: Optional[BaseException]) -> Optional[str]:
    """What the system said, of an error that libraries have wrapped in theirs; None if it said nothing."""
    words = None
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            words = error.strerror
        error = error.__cause__ or error.__context__
    return words


def as_corebox_error(error: BaseException, more: str = "") -> CoreboxError:
    """What nobody has caught, as one of our own errors: the system has refused something, or it is a bug.

    The traceback of a bug is printed where ``COREBOX_DEBUG`` is set. ``more`` is added to the hint of a refusal.
    """
    if isinstance(error, CoreboxError):
        return error
    if isinstance(error, OSError):
        return HostError(
            "system-refuses",
            f"the operating system refused: {_refusal(error)}",
            "check permissions, disk and limits" + more,
        )
    if os.environ.get("COREBOX_DEBUG"):
        import traceback  # noqa: PLC0415  # nobody else needs it

        traceback.print_exception(type(error), error, error.__traceback__)
    message = f"a bug in corebox: {type(error).__name__}: {error}"
    return CoreboxError("bug", message, "please report it with the output of the same command under COREBOX_DEBUG=1")


def _refusal(error: OSError) -> str:
    """``/srv/x: No space left on device``, without the number of the error."""
    if not error.strerror:
        return str(error)
    name = error.filename if isinstance(error.filename, (str, bytes)) else None
    return error.strerror if name is None else f"{os.fsdecode(name)}: {error.strerror}"
