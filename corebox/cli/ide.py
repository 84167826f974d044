"""``corebox ide``."""

import os

import click

from corebox.actions.ide import EDITORS, configuration
from corebox.cli import options

_HELP = """Print an editor's configuration for opening a crash.

\b
vscode    .vscode/launch.json, for the extension LLDB DAP (llvm-vs-code-extensions.lldb-dap)
cppdbg    .vscode/launch.json, for the extension C/C++ (ms-vscode.cpptools)
zed       .zed/debug.json
neovim    Lua for nvim-dap; then :Corebox opens the crash
emacs     Lisp for dape; then M-x dape RET corebox RET (without dape: M-x gdb RET corebox mi SUBJECT -- -i=mi)
helix     .helix/languages.toml
clion     a program to be chosen as the gdb of CLion, Qt Creator, KDevelop
eclipse   the same, as the gdb of a C/C++ Postmortem Debugger

Options after -- are passed to corebox dap or corebox mi: corebox ide zed crash.corebox -- --source ~/src
"""


@click.command("ide", help=_HELP)
@click.argument("editor", type=click.Choice(EDITORS))
@options.subject
@click.argument("dap_options", nargs=-1, type=click.UNPROCESSED)
def command(*, editor: str, subject: str, dap_options: tuple[str, ...]) -> int:
    """See its help."""
    click.echo(os.fsencode(configuration(editor, subject, dap_options)))
    return 0
