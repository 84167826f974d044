"""``corebox ide``."""

import click

from corebox.actions.ide import EDITORS, configuration
from corebox.cli import options


@click.command("ide")
@click.argument("editor", type=click.Choice(EDITORS))
@options.subject
@click.argument("dap_options", nargs=-1, type=click.UNPROCESSED)
def command(*, editor: str, subject: str, dap_options: tuple[str, ...]) -> int:
    """Print an editor's configuration for opening a crash.

    For vscode: .vscode/launch.json, with the extension LLDB DAP (llvm-vs-code-extensions.lldb-dap). For zed:
    .zed/debug.json. For neovim: Lua for nvim-dap.

    Options after -- are passed to corebox dap: corebox ide zed crash.corebox -- --engine docker --source ~/src
    """
    click.echo(configuration(editor, subject, dap_options))
    return 0
