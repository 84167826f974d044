"""``corebox toolbox``."""

import click

from corebox.cli import output
from corebox.image import ensure_toolbox
from corebox.store import Store


@click.group("toolbox")
def command() -> None:
    """The gdb that is layered into every image."""


@command.command("build")
def build() -> int:
    """Make the toolbox for this machine, if the store does not have it yet."""
    toolbox = ensure_toolbox(Store.default())
    output.say(f"{toolbox.layer.digest}  {output.size(toolbox.layer.size)}  {toolbox.summary}")
    return 0
