"""What every engine can do."""

from collections.abc import Sequence
from typing import Protocol

from corebox.engine.sandbox import Finished, Sandbox
from corebox.errors import HostError

MAX_OUTPUT = 256 << 20  # bytes that a batch command may write on each of its streams


class Engine(Protocol):
    """Runs commands in a sandbox. All engines give the same sandbox, and none copies the files."""

    name: str

    def attach(self, sandbox: Sandbox, command: Sequence[str], tty: bool) -> int:
        """Run ``command`` on our standard streams, with a terminal if ``tty``; return its exit status."""

    def run(self, sandbox: Sandbox, command: Sequence[str], time_limit: float) -> Finished:
        """Run ``command`` without input and return what it wrote; it is stopped after ``MAX_OUTPUT`` bytes.

        Raises:
            HostError: ``time-limit`` after ``time_limit`` seconds; nothing of it is left running.
        """


def time_limit_passed(seconds: float) -> HostError:
    """``time-limit``: a batch command did not end in time."""
    message = f"the command did not end within {seconds:g} s and was stopped"
    return HostError("time-limit", message, "give it more time with --time-limit SECONDS")
