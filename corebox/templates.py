"""Templates: a name that nobody has set is an error, and lines of control leave nothing behind."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError
from markupsafe import Markup

__all__ = ["Environment", "Markup", "PackageLoader", "TemplateError", "make_environment"]


def make_environment(**options: Any) -> Environment:
    """An environment with jinja2's ``options``; ``autoescape`` has to be decided by the caller."""
    return Environment(undefined=StrictUndefined, trim_blocks=True, **options)  # noqa: S701 - see autoescape above
