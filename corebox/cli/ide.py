"""``corebox ide``."""

import click

from corebox.actions.ide import EDITORS, configuration
from corebox.cli import options


@click.command("ide")
@click.argument("editor", type=click.Choice(EDITORS))
@options.subject
@click.argument("dap_options", nargs=-1, type=click.UNPROCESSED)
def command(*, editor: str, subject: str, dap_options: tuple[str, ...]) -> int:
    """Print what makes an editor or IDE open a crash with corebox dap.

    For vscode it is .vscode/launch.json, with the extension LLDB DAP (llvm-vs-code-extensions.lldb-dap); for zed
    .zed/debug.json; for neovim Lua for nvim-dap.

    What follows -- goes to corebox dap: corebox ide zed crash.corebox -- --engine docker --source ~/src
    """
    click.echo(configuration(editor, subject, dap_options))
    return 0
