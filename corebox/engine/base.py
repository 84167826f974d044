"""What every engine can do."""

from collections.abc import Sequence
from typing import Protocol

from corebox.engine.sandbox import Finished, Sandbox


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
