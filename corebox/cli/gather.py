"""``corebox gather``: the very program that the customer runs, with the same options and help."""

import click

from corebox.gather.cli import main


@click.command(
    "gather",
    short_help="Pack a core and the files it was mapped from into one bundle.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Pack a core and the files mapped into the process into one bundle; corebox gather --help lists all options."""
    return main(arguments, "corebox gather")
