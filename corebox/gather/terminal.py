"""Lines for the user: any path can be printed, whatever the locale."""

import sys
from typing import TextIO


def say(text: str) -> None:
    """Print on standard output."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print on standard error."""
    _print(text, sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "ascii"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
