"""Shows on a terminal how many bytes have moved."""

import sys
import time
from collections.abc import Callable

import click

from corebox.cli.output import size

_EVERY = 0.1  # seconds between two lines


def meter(verb: str) -> Callable[[int], None]:
    """A callback that is told bytes as they move; silent where nobody looks."""
    moved, shown = 0, 0.0

    def tell(count: int) -> None:
        nonlocal moved, shown
        moved += count
        now = time.monotonic()
        if sys.stderr.isatty() and now - shown > _EVERY:
            shown = now
            click.echo(f"\r{verb} {size(moved)} \033[K\r", nl=False, err=True)

    return tell
