"""The functions that do not count in a signature, by lists: those of runtimes and of what reports failures.

The lists are in ``skiplists/``. A line of one is ``module`` or ``function`` and a regular expression, which has to
match the whole name.
"""

import functools
import re
from collections.abc import Iterator
from importlib import resources
from posixpath import basename


def lines(text: str) -> Iterator[tuple[str, str]]:
    """Kind and expression of each line of a list.

    Raises:
        ValueError: a line is something else.
    """
    for line in text.splitlines():
        kind, _, expression = line.strip().partition(" ")
        if not kind or kind.startswith("#"):
            continue
        if kind not in ("module", "function") or not expression:
            raise ValueError(line)
        yield kind, expression


def has_module(path: str) -> bool:
    """Whether a file is one of a runtime, none of whose functions counts."""
    return bool(_expression("module").fullmatch(basename(path)))


def is_c_library(path: str) -> bool:
    """Whether a file is of the C library, which ends a process for whoever called it."""
    return bool(_expression("module", "c.txt").fullmatch(basename(path)))


def has_function(name: str) -> bool:
    """Whether a function, by its plain name, is one of a runtime's, wherever it is linked in."""
    return bool(_expression("function").fullmatch(name))


@functools.cache
def _expression(kind: str, only: str | None = None) -> re.Pattern[str]:
    lists = resources.files("corebox.report") / "skiplists"
    files = sorted(lists.iterdir(), key=lambda each: each.name)
    texts = (each.read_text("utf-8") for each in files if only in (None, each.name))
    return re.compile("|".join(f"(?:{found})" for text in texts for each, found in lines(text) if each == kind))
