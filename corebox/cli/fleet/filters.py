"""The options that say which crashes are meant."""

import functools
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import click

from corebox.fleet.questions import STATES, Filter

_SECONDS = {"d": 86400, "h": 3600, "w": 7 * 86400}


class _Moment(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # a generic since click 8.3
    """``2026-11-30``, ``2026-11-30T12:00``, or so long ago: ``7d``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value)
        if text[:-1].isdecimal() and text[-1:] in _SECONDS:
            return int(time.time()) - int(text[:-1]) * _SECONDS[text[-1]]
        try:
            return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())
        except (ValueError, OverflowError):
            self.fail(f"{text} is no time; give a day, 2026-11-30, or how long ago, 7d", param, ctx)


_MOMENT = _Moment()
_OPTIONS = (
    click.option("--function", metavar="NAME[*]", help="A function on the stack of the thread that failed."),
    click.option("--module", metavar="NAME[*]", help="The name of a file that was mapped."),
    click.option("--package", metavar="NAME[*]", help="The package of such a file: 'openssl 3.0.11', or 'openssl*'."),
    click.option("--build-id", metavar="HEX", help="The build ID of a file that was mapped, or its beginning."),
    click.option("--customer", help="The customer."),
    click.option("--product", help="The product."),
    click.option("--release", metavar="VERSION[..VERSION]", help="The version of the product, or a range."),
    click.option(
        "--since",
        type=_MOMENT,
        metavar="TIME",
        help="Crashed at this time or later: 2026-11-30, or 7d for the last week.",
    ),
    click.option("--until", type=_MOMENT, metavar="TIME", help="Crashed before this time."),
    click.option("--signal", metavar="NAME", help="The signal, e.g. SIGSEGV."),
    click.option("--family", metavar="FAMILY", help="Number, name or text of a family."),
    click.option("--text", help="Text in the cause."),
    click.option("--state", type=click.Choice(STATES), help="Whether they are waiting, reported or failed."),
)


def filters(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options, and their values as the argument ``which``."""

    @functools.wraps(function)
    def command(**given: Any) -> int:
        which = Filter(**{name: given.pop(name) for name in Filter._fields})
        return function(which=which, **given)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command
