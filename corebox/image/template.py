"""Renders ``Dockerfile.template``: the one description of the order of the layers and of the image's configuration."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from corebox.errors import UsageError
from corebox.resources import shipped
from corebox.userfolders import config_folder

_NAME = "Dockerfile.template"


class LayerFile(NamedTuple):
    """A layer as the template sees it: what it is, and the name of its tar in the build's context."""

    kind: str
    file: str


def shipped_template() -> Path:
    """The template that comes with corebox."""
    return shipped(_NAME)


def default_template() -> Path:
    """The user's own template, ``Dockerfile.template`` in the configuration directory, else the one that is shipped."""
    own = config_folder() / _NAME
    return own if own.is_file() else shipped_template()


def render_template(
    path: Path,
    layers: Sequence[LayerFile],
    labels: Mapping[str, str],
    environment: Mapping[str, str],
    entrypoint: Sequence[str],
) -> str:
    """The Dockerfile; the template knows the arguments under their names here.

    Raises:
        UsageError: ``bad-template``.
    """
    from corebox.templates import TemplateError, make_environment  # noqa: PLC0415  # slow to import, and who opens an image does not need it

    engine = make_environment(
        autoescape=False,  # a Dockerfile is no HTML; the filters below quote what is not ours
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    engine.filters["quoted"] = quoted
    engine.filters["exec_form"] = lambda words: json.dumps(list(words))
    try:
        template = engine.from_string(path.read_text(encoding="utf-8"))
        return template.render(layers=layers, labels=labels, environment=environment, entrypoint=entrypoint)
    except (OSError, UnicodeDecodeError, TemplateError) as error:
        hint = "compare it with the template that corebox ships: corebox build --print-template"
        raise UsageError("bad-template", f"cannot use the template {path}: {error}", hint) from error


def quoted(text: str) -> str:
    """A double-quoted word that Docker reads as exactly ``text``, but for control characters, which become ``?``.

    Docker expands ``$`` in LABEL and ENV (Dockerfile reference, "Environment replacement").
    """
    printable = "".join(char if char.isprintable() else "?" for char in text)
    escaped = printable.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
