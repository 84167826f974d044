"""``corebox completion``."""

import sys
from pathlib import Path

import click

from corebox.cli.complete import FILES, FOLDERS, Candidate, candidates
from corebox.cli.typed import split_line

_SCRIPTS = Path(__file__).with_name("completions")
_SHELLS = ("bash", "zsh", "fish")
_HELP = """Print what makes a shell complete corebox's commands, options, images and files.

\b
bash    corebox completion bash > ~/.local/share/bash-completion/completions/corebox
zsh     corebox completion zsh > ~/.zfunc/_corebox       (with fpath+=(~/.zfunc) before compinit)
fish    corebox completion fish > ~/.config/fish/completions/corebox.fish
"""


@click.command("completion", help=_HELP, short_help="Print what makes a shell complete commands, images and files.")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.argument("typed", nargs=-1, type=click.UNPROCESSED, metavar="")
@click.pass_context
def command(context: click.Context, shell: str, typed: tuple[str, ...]) -> int:
    """See its help; with ``typed`` it answers what the printed script asks."""
    if not typed:
        click.echo((_SCRIPTS / f"corebox.{shell}").read_text(), nl=False)
        return 0
    program = context.find_root().command
    if shell == "bash":
        (_, *words), incomplete, cut = split_line(*typed)
    else:
        *words, incomplete = typed
        cut = 0
    found = candidates(program, words, incomplete)
    names = [each for each in found if each.word]
    # What begins amid a word is the rest of a name, not of a file.
    for each in names if cut and names else found:
        sys.stdout.write(_line(each, cut))
    return 0


def _line(candidate: Candidate, cut: int) -> str:
    r"""For the script: a word and what it means, without the part of the word that bash takes for another word."""
    if candidate.kind in (FILES, FOLDERS):
        return f"\t{candidate.kind}\n"
    word = candidate.word[cut:]
    return f"{word}\t{' '.join(candidate.meaning.split())}\n" if word.isprintable() else ""
