"""What every engine can do."""

from collections.abc import Sequence
from typing import Protocol

from corebox.engine.sandbox import Sandbox


class Engine(Protocol):
    """Runs commands in a sandbox. All engines give the same sandbox, and none copies the files."""

    name: str

    def attach(self, sandbox: Sandbox, command: Sequence[str], tty: bool) -> int:
        """Run ``command`` on our standard streams, with a terminal if ``tty``; return its exit status."""
