"""What completes a word, whatever the shell."""

from pathlib import Path

import pytest

from corebox.cli.complete import FILES, FOLDERS, candidates
from corebox.cli.main import main, program
from corebox.cli.typed import split_line
from corebox.store.store import Store
from tests.support.images import put_random_image


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the store would be."""
    monkeypatch.setenv("COREBOX_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def words_for(*words: str) -> list[str]:
    *whole, incomplete = words
    return [each.word or each.kind for each in candidates(program, whole, incomplete)]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (("doc",), ["doctor"]),
        (("toolbox", "im"), ["import"]),
        (("shell", "--no-cust"), ["--no-customer-code"]),
        (("shell", "--engine", "bub"), ["bubblewrap"]),
        (("shell", "--engine=po"), ["--engine=podman"]),
        (("shell", "cra"), [FILES]),
        (("shell", "x", "--source", ""), [FOLDERS]),
        (("shell", "x", "--from", "/rel"), [FILES]),
        (("shell", "x", "-e", ""), [FILES]),
        (("shell", "x", "--", "-ba"), [FILES]),
        (("gather", "--make-z"), ["--make-zipapp"]),
        (("gather", "co"), [FILES]),
        (("completion", "z"), ["zsh"]),
        (("help", "stat"), ["status"]),
        (("help", "sh"), ["shell"]),
        (("nonsense", ""), []),
        (("shell", "--nonsense", "x", "--eng"), ["--engine"]),
    ],
)
def test_words(typed: tuple[str, ...], expected: list[str]) -> None:
    assert words_for(*typed) == expected


def test_images_of_the_store_and_files(home: Path) -> None:
    assert words_for("shell", "ran") == [FILES]
    assert not home.exists(), "asking makes no store"
    put_random_image(Store(home), 1 << 10)
    assert words_for("shell", "ran") == ["random:1", FILES]
    assert words_for("rm", "") == ["random:1"]
    assert words_for("push", "random:1", "ran") == ["random:1"]


def test_what_stands_for_an_option_says_what_it_does() -> None:
    (found,) = candidates(program, ["shell"], "--python-p")
    assert found.meaning.startswith("A folder whose Python packages")
    (found,) = candidates(program, ["gather"], "--no-core")
    assert found.meaning


@pytest.mark.parametrize(
    ("line", "words", "incomplete", "start"),
    [
        ("corebox ", ["corebox"], "", 0),
        ("corebox sh", ["corebox"], "sh", 0),
        ("corebox shell 'my cra", ["corebox", "shell"], "my cra", 0),
        ('corebox shell "my \\"cra', ["corebox", "shell"], 'my "cra', 0),
        ("corebox shell my\\ crash.corebox --eng", ["corebox", "shell", "my crash.corebox"], "--eng", 0),
        ("corebox shell '' ", ["corebox", "shell", ""], "", 0),
        ("corebox \\", ["corebox"], "", 0),
        ("corebox shell acme:", ["corebox", "shell"], "acme:", 5),
        ("corebox shell acme\\:1", ["corebox", "shell"], "acme:1", 0),
        ("corebox shell 'acme:1", ["corebox", "shell"], "acme:1", 0),
        ("corebox shell --source=a:b", ["corebox", "shell"], "--source=a:b", 11),
    ],
)
def test_lines_of_a_shell(line: str, words: list[str], incomplete: str, start: int) -> None:
    assert split_line(line, ":=") == (words, incomplete, start)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("corebox shell --engine=pod", "podman\t\n"),
        ('corebox shell "--engine=pod', "--engine=podman\t\n"),
        ("corebox info ", "\tfile\n"),
    ],
)
def test_bash_takes_what_follows_a_sign_for_a_word(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash", "--", line, " \t\n\"'@><=;|&(:"]) == 0
    assert capsys.readouterr().out == said
