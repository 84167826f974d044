"""What every engine can do."""

import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from corebox.engine.batch import MAX_OUTPUT
from corebox.engine.sandbox import Finished, Sandbox


class Engine(Protocol):
    """Runs commands in a sandbox. All engines give the same sandbox, and none copies the files."""

    name: str

    @property
    def bounds_memory(self) -> bool:
        """Whether all that runs in a sandbox is bounded together, so that a program may start others."""

    def attach(self, sandbox: Sandbox, command: Sequence[str], tty: bool) -> int:
        """Run ``command`` on our standard streams, with a terminal if ``tty``; return its exit status."""

    def run(
        self, sandbox: Sandbox, command: Sequence[str], time_limit: float, max_output: int = MAX_OUTPUT
    ) -> Finished:
        """Run ``command`` without input and return what it wrote; it is stopped after ``max_output`` bytes.

        Raises:
            HostError: ``time-limit`` after ``time_limit`` seconds; nothing of it is left running.
        """

    def pipe(self, sandbox: Sandbox, command: Sequence[str]) -> "AbstractContextManager[subprocess.Popen[bytes]]":
        """Run ``command`` with pipes as its standard input and output; nothing of it outlives the block."""

    def interrupt(self, child: "subprocess.Popen[bytes]") -> None:
        """Give the command that ``pipe`` runs as ``child`` what Ctrl-C gives a program, if it still runs."""
