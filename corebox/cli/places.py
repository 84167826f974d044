"""The option that names places where the files of a crash may be."""

import click

from corebox.cli.complete import PLACE
from corebox.cli.options import Function


def places(function: Function) -> Function:
    """--from, which is also called --symbols, as gdb's users look for it; its values are the argument ``places``."""
    option = click.option(
        "--from",
        "--symbols",
        "places",
        type=PLACE,
        multiple=True,
        metavar="PLACE",
        help="Where to look for missing files and for symbols: a folder, ELF file, package (.deb, .rpm, .apk), tar, "
        "zip, wheel, AppImage, bundle, image (docker://, oci:, docker-archive:, docker-daemon:) or a server's URL. "
        "Only files that the core proves are taken. Repeatable.",
    )
    return option(function)
