"""A handler as the kernel calls it."""

import subprocess
from pathlib import Path

GONE = "999999999"  # a process that there is none of


def feed(handler: Path, core: Path, *words: str | bytes) -> int:
    """Call it as the kernel does: without any environment."""
    with core.open("rb") as source:
        command = [str(handler / "corebox-handler"), *words]
        return subprocess.run(command, stdin=source, check=False, env={}, cwd="/").returncode


def stub(handler: Path, status: int) -> None:
    """Put another program there, which reads nothing."""
    (handler / "corebox-gather.pyz").write_text(f"import sys\nsys.exit({status})\n")


def log_of(handler: Path) -> list[str]:
    return [line.partition(" ")[2] for line in (handler / "handler.log").read_text().splitlines()]
