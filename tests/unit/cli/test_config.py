"""The user's defaults: what is taken, what is refused, and that a flag wins."""

import json
from pathlib import Path

import click
import pytest

from corebox.actions.config import SETTINGS, config_file, read_config
from corebox.cli.commands import COMMANDS
from corebox.cli.config import defaults_of
from corebox.cli.main import _Commands, main
from corebox.errors import UsageError
from tests.support.documents import validate

ALL = """
symbols = ["~/symbols", "https://debuginfod.example.com"]
from = "/opt/files"
source = ["/src=/build"]
engine = "bubblewrap"
core = "whole"
gdbinit = "gdbinit"
python-path = ["printers", "/opt/printers"]
registry = "registry.example.com/crashes"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("COREBOX_CONFIG", str(path))
    monkeypatch.setenv("COREBOX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", "/home/me")
    return path


def test_every_setting_is_read(file: Path) -> None:
    file.write_text(ALL)
    assert read_config(file) == {
        "symbols": ("/home/me/symbols", "https://debuginfod.example.com"),
        "from": ("/opt/files",),
        "source": ("/src=/build",),
        "engine": "bubblewrap",
        "core": "whole",
        "gdbinit": str(file.parent / "gdbinit"),
        "python-path": (str(file.parent / "printers"), "/opt/printers"),
        "registry": "registry.example.com/crashes",
    }


@pytest.mark.parametrize("name", ["symbols", "from", "source"])
def test_a_relative_place_is_in_the_folder_of_the_file_wherever_one_is(
    file: Path, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in ssbc/go-ssb#215, where the current directory counted, and rust-lang/cargo#16176, where "~" was a folder."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    file.write_text(f'{name} = ["./src=/build", "../shared", "~/src=/build", "debuginfod", "~"]')
    folder = file.parent
    expected = (str(folder / "src=/build"), str(folder / "../shared"), "/home/me/src=/build", "debuginfod", "/home/me")
    assert read_config(file) == {name: expected}


def test_no_file_sets_nothing(file: Path) -> None:
    assert read_config(file) == {}
    assert read_config(Path("/dev/null")) == {}


def test_the_file_is_in_the_place_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("COREBOX_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_file() == tmp_path / "corebox" / "config.toml"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("symbol = []", "unknown-setting", "did you mean symbols?"),
        ("enigne = 'auto'", "unknown-setting", "did you mean engine?"),
        ("[shell]\nengine = 'auto'", "unknown-setting", "did you mean"),
        ("python_path = []", "unknown-setting", "did you mean python-path?"),
        ("engine = 'dokcer'", "bad-setting", "docker"),
        ("engine = ['docker']", "bad-setting", 'engine = "..."'),
        ("engine = true", "bad-setting", 'engine = "..."'),
        ("symbols = [1]", "bad-setting", "list of strings"),
        ("symbols = [['a']]", "bad-setting", "list of strings"),
        ("registry = ''", "bad-setting", "a string"),
        ('gdbinit = "a\\u0000b"', "bad-setting", "a string"),
        ("engine = auto", "bad-config", "TOML"),
        ("engine", "bad-config", "TOML"),
        ("a = " + "[" * 10000, "bad-config", "TOML"),
        ("#" * (1 << 20) + "#", "bad-config", "TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_what_is_right(file: Path, text: str, code: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_config(file)
    assert caught.value.code == code
    assert words in caught.value.hint
    assert str(file) in caught.value.message


def test_bytes_that_are_no_text_and_a_folder_are_told(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError):
        read_config(file)
    with pytest.raises(UsageError):
        read_config(file.parent)


def test_each_setting_is_the_default_of_its_flag_wherever_there_is_one(file: Path) -> None:
    file.write_text(ALL)
    context = click.Context(click.Command("corebox"))
    found: set[str] = set()
    for name in COMMANDS:
        command = _Commands().get_command(context, name)
        assert command is not None
        defaults = defaults_of(command)
        # --core of some commands is a file.
        params = [each for each in command.params if "--core" not in each.opts or isinstance(each.type, click.Choice)]
        flags = {flag.removeprefix("--") for each in params for flag in each.opts} & set(SETTINGS)
        wanted = {each.name for each in params if {f"--{flag}" for flag in flags} & set(each.opts)}
        assert set(defaults) == (set() if name in ("build", "verify") else wanted), name
        if "places" in defaults:  # one flag of two names has what both settings say
            assert defaults["places"] == ("/home/me/symbols", "https://debuginfod.example.com", "/opt/files")
        found |= flags
    assert {"symbols", "source", "engine", "gdbinit", "python-path", "registry", "core"} <= found


def test_a_setting_counts_and_a_flag_wins(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what is asked first: a registry that is not there."""
    monkeypatch.setattr("corebox.registry.moving.DELAYS", ())
    file.write_text('registry = "127.0.0.1:9/crashes"')
    assert main(["pull", "acme:17"]) == 4
    assert "127.0.0.1:9" in capsys.readouterr().err
    assert main(["pull", "acme:17", "--registry", "127.0.0.1:19"]) == 4
    assert "127.0.0.1:19" in capsys.readouterr().err
    assert main(["pull", "127.0.0.1:29/acme:17"]) == 4
    assert "127.0.0.1:29" in capsys.readouterr().err


def test_a_bad_file_stops_only_who_would_heed_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("enigne = 'auto'")
    assert main(["report", "acme:17"]) == 2
    assert "did you mean engine?" in capsys.readouterr().err
    assert main(["report", "--help"]) == 0
    assert main(["images"]) == 0
    assert main(["config"]) == 2


def test_config_shows_what_is_set_and_what_can_be(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    shown = capsys.readouterr().out
    assert f"{file} (no such file)" in shown
    assert all(name in shown for name in SETTINGS)
    file.write_text(ALL)
    assert main(["config", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    validate(document, "config")
    assert document["file"] == str(file)
    assert document["settings"]["from"] == ["/opt/files"]
    assert main(["config"]) == 0
    assert "https://debuginfod.example.com" in capsys.readouterr().out


def test_a_push_without_a_name_needs_a_registry(file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from corebox.store.store import Store
    from tests.support.images import put_random_image

    put_random_image(Store(tmp_path / "home"), 100, "app:1")
    assert main(["push", "app:1"]) == 2
    assert "no target given" in capsys.readouterr().err
