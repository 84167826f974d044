"""``corebox toolbox``."""

from pathlib import Path

import click

from corebox.cli import options, output
from corebox.image.toolbox import (
    Toolbox,
    ensure_toolbox,
    export_toolbox,
    import_toolbox,
    list_toolboxes,
    make_toolbox,
)
from corebox.store.store import Store


@click.group("toolbox")
def command() -> None:
    """Manage the toolbox: the gdb that is part of every image."""


@command.command("build")
@click.option("--gdb", type=options.PATH, help="Make it from this gdb, which needs Python support.")
def build(gdb: Path | None) -> int:
    """Make the toolbox of this machine, and use it from now on."""
    _say(make_toolbox(Store.default(), gdb))
    return 0


@command.command("list")
def show() -> int:
    """List the toolboxes in the store; a star marks the one in use."""
    store = Store.default()
    used = ensure_toolbox(store)
    for toolbox in list_toolboxes(store):
        _say(toolbox, "* " if toolbox == used else "  ")
    return 0


@command.command("export", short_help="Write the toolbox in use to a file.")
@click.argument("file", type=options.PATH)
def export(file: Path) -> int:
    """Write the toolbox in use to FILE: with it, another machine builds identical images."""
    store = Store.default()
    toolbox = ensure_toolbox(store)
    export_toolbox(store, toolbox, file)
    _say(toolbox)
    return 0


@command.command("import", short_help="Import a toolbox that another machine exported.")
@click.argument("file", type=options.PATH)
def take(file: Path) -> int:
    """Import a toolbox that another machine exported, and use it from now on."""
    _say(import_toolbox(Store.default(), file))
    return 0


def _say(toolbox: Toolbox, mark: str = "") -> None:
    output.say(f"{mark}{toolbox.layer.digest}  {output.size(toolbox.layer.size)}  {toolbox.summary}")
