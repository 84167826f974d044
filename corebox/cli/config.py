"""``corebox config``, and how settings become the defaults of flags."""

import shlex
from typing import Any

import click

from corebox.actions.config import SETTINGS, config_file, read_config
from corebox.cli import options, output

#: What they make or prove must not depend on whose desk it is done at.
_WITHOUT = ("build", "verify")


_HELP = """Show your defaults: values for flags, read from a TOML file.

\b
from = ["/releases", "https://debuginfod.example.com"]
engine = "bubblewrap"
registry = "registry.example.com/crashes"

A flag on the command line overrides the setting of the same name. COREBOX_CONFIG names another file.
"""


@click.command("config", help=_HELP, short_help="Show your defaults and where they are set.")
@options.as_json
def command(as_json: bool) -> int:
    """Print the settings, as ``_HELP`` says."""
    path = config_file()
    found = read_config(path)
    if as_json:
        output.say_json({"version": 1, "file": str(path), "settings": found})
        return 0
    output.say(f"{path}{'' if path.exists() else ' (no such file)'}")
    output.table((name, _shown(found.get(name)), setting.help) for name, setting in SETTINGS.items())
    return 0


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else shlex.join(value)


def _takes(parameter: click.Parameter, name: str) -> bool:
    """Whether the flag means what the setting does: --core of `corebox export` is a file."""
    return not SETTINGS[name].choices or isinstance(parameter.type, click.Choice)


def defaults_of(command: click.Command) -> dict[str, Any]:
    """The settings for the flags of ``command``, by the names of its parameters.

    Raises:
        UsageError: those of ``read_config``.
    """
    flags = {
        name: parameter.name
        for name in SETTINGS
        for parameter in command.params
        if f"--{name}" in parameter.opts and parameter.name and _takes(parameter, name)
    }
    if not flags or command.name in _WITHOUT:
        return {}
    found = read_config(config_file())
    made: dict[str, Any] = {}
    for name, parameter in flags.items():
        if name in found:  # a flag of two names has the values of both settings
            made[parameter] = (*made[parameter], *found[name]) if parameter in made else found[name]
    return made
