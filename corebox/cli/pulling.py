"""How the commands that take a subject fetch an image that the store lacks."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corebox.actions.subject import Pulling
from corebox.cli import options
from corebox.cli.meter import meter


def pulling(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of a registry, and their values as the argument ``pulling``."""

    @options.registry
    @functools.wraps(function)
    def command(*, ca_file: Path | None, plain_http: bool, registry: str | None, **others: Any) -> int:
        return function(pulling=Pulling(meter("pulling"), ca_file, plain_http, registry), **others)

    return command
