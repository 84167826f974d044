"""What is kept of the arguments that clients start a "gdb" with (gdb manual, "Invoking GDB")."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from corebox.debugger.session import inside
from corebox.errors import UsageError

_INTERPRETERS = re.compile(r"mi[1-4]?")
#: Options of no meaning for a crash, without and with a value.
_PLAIN = {
    *("q", "quiet", "silent", "nx", "n", "nh", "nw", "nowindows", "f", "fullname", "return-child-result", "readnow"),
    *("r", "readnever", "batch", "batch-silent", "w", "windows", "no-escape-args", "version", "v"),
}
_WITH_VALUE = {
    *("s", "symbols", "e", "exec", "se", "c", "core", "p", "pid", "cd", "data-directory", "D", "b", "l", "tty", "t"),
    *("annotate", "write", "ui"),
}
_COMMANDS = {"ex": "-ex", "eval-command": "-ex", "iex": "-iex", "init-eval-command": "-iex"}
_FILES = ("x", "command", "ix", "init-command")
_FOLDERS = ("d", "directory")
_INTERPRETER = ("i", "interpreter")


class GdbWords(NamedTuple):
    """What a client wants of gdb.

    Attributes:
        interpreter: the version of the machine interface: ``mi3``.
        commands: gdb's own options with commands to be run.
        gdbinit: a file of commands.
        sources: folders with source files.
        version: it only asks which gdb this is.
    """

    interpreter: str
    commands: tuple[str, ...]
    gdbinit: Path | None
    sources: tuple[str, ...]
    version: bool


def parse_gdb_words(words: Sequence[str]) -> GdbWords:
    """What the arguments say; what would open something else than the crash is left out.

    Raises:
        UsageError: ``wrong-usage`` for another interpreter, a second file of commands, and options that gdb lacks.
    """
    options = list(_options(words))
    interpreter = next((value for name, value in reversed(options) if name in _INTERPRETER), "mi")
    if not _INTERPRETERS.fullmatch(interpreter):
        hint = "use corebox dap for the Debug Adapter Protocol, corebox shell for gdb's own prompt"
        raise UsageError("wrong-usage", f"corebox mi does not speak {interpreter!r}, but gdb's machine interface", hint)
    files = [Path(value) for name, value in options if name in _FILES]
    if len(files) > 1:
        raise UsageError("wrong-usage", "more than one file of gdb commands", "put them into one file: -x FILE")
    return GdbWords(
        interpreter,
        tuple(word for name, value in options if name in _COMMANDS for word in (_COMMANDS[name], value)),
        files[0] if files else None,
        tuple(value for name, value in options if name in _FOLDERS),
        any(name in ("version", "v") for name, _ in options),
    )


def mi_arguments(words: GdbWords) -> tuple[str, ...]:
    """What gdb is started with; its errors would have colours in them, which clients show as they are."""
    plain = ("-iex", "set style enabled off")
    return (f"--interpreter={words.interpreter}", *plain, *words.commands, "-ex", inside("session.commands", "greet()"))


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value; other words name a program, a core or a process, for which the crash stands."""
    rest = iter(words)
    for word in rest:
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or word == "--":
            continue
        if name == "args":
            return
        if name in _PLAIN:
            yield name, ""
        elif name in (*_WITH_VALUE, *_COMMANDS, *_FILES, *_FOLDERS, *_INTERPRETER):
            yield name, value if equals else next(rest, "")
        else:
            hint = "put corebox's own options before --: corebox mi SUBJECT --symbols PLACE -- -i=mi"
            raise UsageError("wrong-usage", f"{word} is not an option of gdb that corebox mi knows", hint)
