"""What the fields of gdb's answers hold: texts and lists of bounded size."""

from typing import Any

from corebox.bundle.fields import Kind, array, record

MAX_COUNT = 4096  # entries of any list
MAX_LENGTH = 4096  # characters of any text


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value[:MAX_LENGTH]


def word(*words: str) -> Kind:
    """One of these, and whatever the Python of a later toolbox writes."""
    return TEXT._replace(schema=lambda: {"enum": list(words)})


def several(form: Any) -> Kind:
    """A list of such values."""
    return array(record(form), MAX_COUNT)


TEXT = Kind(lambda: {"type": "string"}, _text)
