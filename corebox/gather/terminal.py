"""Lines for the user: any path can be printed, whatever the locale."""

import os
import sys
from typing import Optional, TextIO


def say(text: str) -> None:
    """Print on standard output."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print on standard error."""
    _print(text, sys.stderr)


def _print(text: str, stream: Optional[TextIO]) -> None:
    """What nobody can read any more is no reason to fail: the bundle is what counts."""
    if stream is None:  # closed before we were started
        return
    encoding = stream.encoding or "ascii"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # nor will Python try it again when it ends
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            complain("warning: standard output cannot be written: {}".format(error.strerror))
