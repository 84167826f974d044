"""The vendor's desk: the installed corebox with a store of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Result:
    """What a command did."""

    status: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """The output as JSON."""
        return json.loads(self.output)


@dataclass(frozen=True)
class Lab:
    """Runs corebox commands; ``home`` is the store, ``command`` how corebox is started."""

    home: Path
    command: Sequence[str] = (sys.executable, "-m", "corebox")

    def corebox(self, *arguments: object, env: dict[str, str] | None = None, timeout: float = 300) -> Result:
        """Run one command."""
        # A developer's machine may name servers, which no test may ask.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEBUGINFOD_")}
        environment = {**inherited, "COREBOX_HOME": str(self.home), **(env or {})}
        finished = subprocess.run(
            [*self.command, *map(str, arguments)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        return Result(finished.returncode, finished.stdout, finished.stderr)

    def done(self, *arguments: object, env: dict[str, str] | None = None) -> Result:
        """Run one command that must succeed."""
        result = self.corebox(*arguments, env=env)
        assert result.status == 0, f"{arguments}: {result.output}{result.errors}"
        return result

    def build(self, bundle: Path, *options: object) -> Any:
        """Build without loading; the JSON document."""
        return self.done("build", bundle, "--no-load", "--json", *options).json

    def gdb(
        self,
        subject: object,
        engine: str,
        *commands: str,
        options: Sequence[object] = (),
        env: dict[str, str] | None = None,
    ) -> Result:
        """Run gdb commands on a crash."""
        words = [word for command in commands for word in ("-ex", command)]
        return self.done("shell", subject, "--engine", engine, *options, "--", "-batch", *words, env=env)
