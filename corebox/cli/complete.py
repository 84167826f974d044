"""What may follow what has been typed: commands, options, images of the store, files and folders.

click has an answer for each command; shells ask through ``corebox completion``.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem, ShellComplete
from click.types import StringParamType

from corebox.cli.fleet.needs import SCHEME, bundle_of
from corebox.store.store import Store

#: Kinds of ``Candidate`` that stand for what the shell itself completes.
FILES, FOLDERS = "file", "dir"
_PLAIN = "plain"


class Candidate(NamedTuple):
    """A word that would do, and what it means; or a kind of names that the shell knows."""

    kind: str
    word: str = ""
    meaning: str = ""


class _Completed(StringParamType):
    """A text of which something is known: in help and errors it is click's own text."""

    def __init__(self, *kinds: str, images: bool = False) -> None:
        self._kinds, self._images = kinds, images

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  # click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """What begins with ``incomplete``."""
        names = _names() if self._images else ()
        images = [CompletionItem(each, help="image") for each in names if each.startswith(incomplete)]
        return [*images, *(CompletionItem(incomplete, type=kind) for kind in self._kinds)]


class _Subject(_Completed):
    """A subject; a crash of the fleet becomes its bundle."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text, or the path of the bundle for ``fleet:17``."""
        if not str(value).startswith(SCHEME):
            return super().convert(value, param, ctx)
        return str(bundle_of(value))


SUBJECT = _Subject(FILES, images=True)
IMAGE = _Completed(images=True)
PLACE = _Completed(FILES)
FOLDER = _Completed(FOLDERS)


def _names() -> Sequence[str]:
    """The images of the store, which is not made if it is not there."""
    home = Store.default_home()
    with contextlib.suppress(Exception):  # a shell has nobody to tell
        return Store.default().names() if home.is_dir() else ()
    return ()


def candidates(program: click.Command, words: Sequence[str], incomplete: str) -> list[Candidate]:
    """What ``incomplete`` may become after ``words``, which follow the name of the program."""
    if "--" in words:  # arguments of gdb's, or of a program
        return [Candidate(FILES)]
    if words[:1] == ["gather"]:
        return list(_of_gather(incomplete))
    try:
        found = ShellComplete(program, {}, "corebox", "").get_completions(list(words), incomplete)
    except Exception:  # noqa: BLE001  # what was typed so far may be nonsense
        return []
    option = incomplete[: incomplete.index("=") + 1] if incomplete.startswith("--") and "=" in incomplete else ""
    made = [
        Candidate(_PLAIN, option + each.value, each.help or "") if each.type == _PLAIN else Candidate(each.type)
        for each in found
    ]
    return made or ([] if incomplete.startswith("-") else [Candidate(FILES)] if _has_command(program, words) else [])


def _has_command(program: click.Command, words: Sequence[str]) -> bool:
    return (
        isinstance(program, click.Group) and bool(words) and words[0] in program.list_commands(click.Context(program))
    )


def _of_gather(incomplete: str) -> Iterator[Candidate]:
    """The gatherer's options, which are not click's."""
    from corebox.gather.options import make_parser  # noqa: PLC0415  # only for this command

    if not incomplete.startswith("-"):
        yield Candidate(FILES)
        return
    for action in make_parser()._actions:
        for word in action.option_strings:
            if word.startswith("--") and word.startswith(incomplete):
                yield Candidate(_PLAIN, word, str(action.help or "").partition("; ")[0] % vars(action))
