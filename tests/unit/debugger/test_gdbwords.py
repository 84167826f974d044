"""What is kept of the arguments that clients start a gdb with."""

from pathlib import Path

import pytest

from corebox.debugger.gdbwords import GdbWords, mi_arguments, parse_gdb_words
from corebox.errors import UsageError

NOTHING = GdbWords("mi", (), None, (), False)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), NOTHING),
        (("-i=mi",), NOTHING),
        (("--interpreter", "mi2", "--nx", "-quiet"), NOTHING._replace(interpreter="mi2")),  # Eclipse
        (("gdb", "--interpreter=mi"), NOTHING),  # VS Code's pipeTransport
        (("--interpreter=mi", "-x", "/home/me/.gdbinit"), NOTHING._replace(gdbinit=Path("/home/me/.gdbinit"))),
        (("-i=mi3", "/home/me/app", "-c", "/home/me/core", "4711"), NOTHING._replace(interpreter="mi3")),
        (("-d", "/src", "--directory=/more"), NOTHING._replace(sources=("/src", "/more"))),
        (("-iex", "set x", "--eval-command=bt"), NOTHING._replace(commands=("-iex", "set x", "-ex", "bt"))),
        (("--version",), NOTHING._replace(version=True)),
        (("-tty=/dev/pts/1", "--args", "app", "--version", "-ex", "x"), NOTHING),
        (("--tty", "/dev/pts/1", "-cd", "/x"), NOTHING),
    ],
)
def test_words_of_clients(words: tuple[str, ...], expected: GdbWords) -> None:
    assert parse_gdb_words(words) == expected


@pytest.mark.parametrize("words", [("-i=dap",), ("--interpreter", "console"), ("-i",), ("--frobnicate",)])
def test_what_cannot_be_served_is_wrong_usage(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gdb_words(words)
    assert "corebox" in caught.value.hint


def test_two_files_of_commands_are_refused() -> None:
    with pytest.raises(UsageError, match="more than one file"):
        parse_gdb_words(("-x", "a", "-x", "b"))


def test_the_banner_comes_last() -> None:
    words = mi_arguments(NOTHING._replace(commands=("-ex", "bt")))
    assert words[:5] == ("--interpreter=mi", "-iex", "set style enabled off", "-ex", "bt")
    assert words[-1].endswith(".greet()")
