"""No option is ignored without a word: not an empty one, and not one beside another that leaves it without effect."""

from pathlib import Path

import pytest

from corebox.gather.cli import main
from corebox.gather.options import make_parser

#: Those that take no text, or are for the kernel's call only.
NO_TEXT = ("--help", "--version", "--crash")


def options_with_values() -> list[str]:
    actions = make_parser()._actions
    return [one.option_strings[-1] for one in actions if one.option_strings and one.nargs != 0]


@pytest.mark.parametrize("option", [name for name in options_with_values() if name not in NO_TEXT])
def test_an_empty_value_is_refused_as_of_a_variable_that_is_not_set(
    option: str, core_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in ([f"{option}="], [option, ""]):
        assert main([str(core_path), *words]) == 2
        error = capsys.readouterr().err
        assert f"{option}: " in error
        assert "\nhint: " in error
    assert list(tmp_path.iterdir()) == []


def test_an_empty_name_of_the_core_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([""]) == 2
    assert "error: argument CORE: the value is empty\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CORE", "--preset=--slim"], "--preset has no effect without --make-zipapp"),
        (["--preset", "--slim", "CORE"], "--preset has no effect without --make-zipapp"),
        (["CORE", "--message", "thanks"], "--message has no effect without --make-zipapp"),
        (["CORE", "--root", "/mnt", "--container", "web"], "--root and --container cannot be given together"),
        (["--pid", "1", "--container", "web"], "--container and --pid cannot be given together"),
        (["CORE", "--list", "--json"], "--list and --json cannot be given together"),
        (["--make-zipapp", "x.pyz", "--encrypt-to", "key"], "--encrypt-to has no effect with --make-zipapp"),
        (["--make-zipapp", "x.pyz", "CORE"], "CORE has no effect with --make-zipapp"),
        (["--install-handler", "x", "--also", "y"], "--also has no effect with --install-handler"),
        (["--install-handler", "x", "-o", "y"], "--output has no effect with --install-handler"),
        (["--make-zipapp", "x.pyz", "--preset", "--list --json"], "--list and --json cannot be given together"),
    ],
    ids=lambda item: " ".join(item) if isinstance(item, list) else "",
)
def test_an_option_without_effect_is_refused(
    words: list[str],
    message: str,
    core_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(core_path) if word == "CORE" else word for word in words]) == 2
    assert f"error: {message}\nhint: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
