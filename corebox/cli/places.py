"""The options that name places where the files of a crash may be."""

import functools
from typing import Any, cast

import click

from corebox.cli.complete import PLACE
from corebox.cli.options import Function


def places(function: Function) -> Function:
    """--from and --symbols, which are one search; their values come together as the argument ``places``."""
    found = click.option(
        "--from",
        "files",
        type=PLACE,
        multiple=True,
        metavar="PLACE",
        help="Where to look for missing files and for symbols: a folder, ELF file, package (.deb, .rpm, .apk), tar, "
        "zip, wheel, AppImage, bundle, image (docker://, oci:, docker-archive:, docker-daemon:) or a server's URL. "
        "Only files that the core proves are taken. Repeatable.",
    )
    same = "The same as --from. Repeatable."
    symbols = click.option("--symbols", type=PLACE, multiple=True, metavar="PLACE", help=same)

    @functools.wraps(function)
    def command(*arguments: Any, files: tuple[str, ...], symbols: tuple[str, ...], **others: Any) -> Any:
        return function(*arguments, places=(*files, *symbols), **others)

    return cast(Function, found(symbols(command)))
