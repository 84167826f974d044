"""The user's defaults: a TOML file with values for flags that would else be typed again and again."""

import difflib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from corebox.actions.cores import CORES
from corebox.engine.choose import NAMES
from corebox.errors import UsageError
from corebox.userfolders import config_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MAX_COUNT = 1 << 20  # bytes


class Setting(NamedTuple):
    """One setting; it is the default of the flag of the same name in every command that has that.

    Attributes:
        help: what it is, in a line.
        many: a list of values is taken.
        is_path: what is relative is so to the folder of the file.
        choices: the values that there are.
    """

    help: str
    many: bool = False
    is_path: bool = False
    choices: tuple[str, ...] = ()


SETTINGS: Mapping[str, Setting] = {
    "symbols": Setting("where debug files are; the same as from", many=True),
    "from": Setting("where missing files and symbols are looked for", many=True),
    "source": Setting("where source files are", many=True),
    "engine": Setting("where gdb runs", choices=NAMES),
    "core": Setting("whether a core is read where it lies", choices=CORES),
    "gdbinit": Setting("your gdb commands", is_path=True),
    "python-path": Setting("folders with your Python packages for gdb", many=True, is_path=True),
    "registry": Setting("registry for image names without one: HOST[/REPOSITORY]"),
}


def config_file() -> Path:
    """Where the file is: ``COREBOX_CONFIG``, else ``config.toml`` in the platform's place for configuration."""
    named = os.environ.get("COREBOX_CONFIG")
    return Path(named) if named else config_folder() / "config.toml"


def read_config(path: Path) -> dict[str, Any]:
    """The settings in the file, lists as tuples; none if there is no file.

    Raises:
        UsageError: ``bad-config``, ``unknown-setting``, ``bad-setting``.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_COUNT + 1)
        if len(text) > _MAX_COUNT:
            raise ValueError(f"it is longer than {_MAX_COUNT} bytes")
        values = tomllib.loads(text.decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        hint = 'write it in TOML, e.g.: engine = "bubblewrap"; corebox config shows all settings'
        raise UsageError("bad-config", f"cannot read {path}: {error}", hint) from error
    return {name: _checked(path, name, value) for name, value in values.items()}


def _checked(path: Path, name: str, value: object) -> str | tuple[str, ...]:
    setting = SETTINGS.get(name)
    if setting is None:
        close = difflib.get_close_matches(name, SETTINGS, 1, 0.0)
        raise UsageError("unknown-setting", f"{path}: unknown setting {name:.100}", f"did you mean {close[0]}?")
    values = value if isinstance(value, list) and setting.many else [value]
    if not all(isinstance(each, str) and each and "\0" not in each for each in values):
        kind = (
            f'a string or a list of strings: {name} = ["...", "..."]' if setting.many else f'a string: {name} = "..."'
        )
        raise UsageError("bad-setting", f"{path}: {name} has an invalid value: {value!r:.100}", f"give {kind}")
    if setting.choices and value not in setting.choices:
        hint = f"give one of {', '.join(setting.choices)}"
        raise UsageError("bad-setting", f"{path}: {name} has an invalid value: {value!r:.100}", hint)
    texts = tuple(_expanded(path, str(each), is_path=setting.is_path) for each in values)
    return texts if setting.many else texts[0]


def _expanded(path: Path, text: str, *, is_path: bool) -> str:
    """The value with ``~`` as the shell would have it.

    Of what may also be a server or a kind of place, only what begins with ``./`` or ``../`` is surely a path.
    """
    home = os.path.expanduser(text) if text.startswith("~") else text  # noqa: PTH111  # it may be the URL of a server
    return str(path.absolute().parent / home) if is_path or home.startswith(("./", "../")) else home
