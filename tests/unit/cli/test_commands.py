"""The commands, their help and their page in the docs."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from corebox.cli.main import main, program
from corebox.gather.cli import main as gatherer

ROOT = Path(__file__).parents[3]


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()
COMMANDS = dict(GENERATOR.commands(program, "corebox"))


@pytest.mark.parametrize("page", GENERATOR.PAGES, ids=lambda page: page.name)
def test_each_generated_page_is_up_to_date(page: Path) -> None:
    assert page.read_text() == GENERATOR.PAGES[page](), "repair: make docs"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_option_has_help(name: str) -> None:
    command: click.Command = COMMANDS[name]
    assert command.help
    assert [option.opts for option in command.params if isinstance(option, click.Option) and not option.help] == []


@pytest.mark.parametrize("name", ["corebox", *COMMANDS])
def test_each_command_is_in_the_docs(name: str) -> None:
    assert f"\n## {name}\n" in GENERATOR.render_commands()


@pytest.mark.parametrize("name", GENERATOR.schemas())
def test_each_property_of_a_schema_is_described(name: str) -> None:
    schema = GENERATOR.schemas()[name]
    assert schema["description"].endswith(".")
    described = {path: each.get("description", "") for path, each, _ in GENERATOR.properties(schema)}
    assert [path for path, text in described.items() if not text.endswith(".")] == []


def test_the_first_help_fits_on_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 59
    assert any("corebox shell crash.corebox" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["frobnicate"], "error: unknown command: frobnicate"),
        (["info"], "Missing argument 'SUBJECT'"),
        (["build", "--builder", "magic", "x"], "'magic' is not one of 'native', 'docker'"),
    ],
)
def test_wrong_usage_is_status_2_and_named(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_gather_has_the_gatherers_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["gather", "--help"])
    assert ended.value.code == 0
    assert "--root" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "spared"),
    [
        ("images", {"concurrent.futures", "corebox.unbundle.read", "corebox.coredump.core", "sqlite3"}),
        ("shell", {"concurrent.futures", "corebox.unbundle.read", "corebox.coredump.core", "corebox.image.native"}),
        ("build", {"corebox.image.sbom", "corebox.registry.push", "jinja2"}),
    ],
)
def test_a_command_starts_without_what_it_seldom_needs(command: str, spared: set[str]) -> None:
    # What was there before is not the command's: of coverage, where it measures this.
    imports = f"import corebox.cli.main, corebox.cli.{command}"
    script = f"import sys; before = {{*sys.modules}}; {imports}; print(*{{*sys.modules}} - before)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) & (spared | {"docker", "urllib3"}) == set()


@pytest.mark.parametrize("arguments", [[], ["toolbox"]], ids=["corebox", "corebox toolbox"])
def test_a_group_alone_shows_its_help_as_it_is_written(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert re.search(r"\n(?:Commands|Open a crash):\n  ", printed)
    assert "\\n" not in printed


def test_no_mark_of_the_help_system_is_shown() -> None:
    assert "\\b" not in GENERATOR.render_commands()


def test_the_gatherer_is_called_as_its_user_calls_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["gather", "--help"])
    assert "  corebox gather core.1234  " in capsys.readouterr().out
    assert gatherer(["core", "more"]) == 2
    assert capsys.readouterr().err == (
        "error: unrecognized arguments: more\n"
        "hint: corebox-gather.pyz CORE [-o FILE] [OPTIONS]; see corebox-gather.pyz --help\n"
    )


def test_a_name_that_engines_refuse_is_refused_before_anything_is_built(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["build", str(tmp_path / "x.corebox"), "-t", "Upper:1"]) == 2
    assert capsys.readouterr().err.startswith("error: Upper:1 is not a valid image name\n")


def test_an_editor_is_not_told_of_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["ide", "zed", str(tmp_path / "x.corebox")]) == 3
    assert "x.corebox does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "text"), [("--older-than", "soon"), ("--older-than", "30"), ("--limit", "much"), ("--limit", "20")]
)
def test_a_number_that_is_none_is_named_with_its_option(
    option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prune", option, text]) == 2
    assert f"{option} {text} is not a number" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["toolbox", "--help"]], ids=["corebox", "corebox toolbox"])
def test_the_list_of_commands_is_cut_nowhere(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    commands = capsys.readouterr().out.partition("Commands:")[2].splitlines()[1:]
    assert [line for line in commands if not line.endswith(".") or line.endswith("...")] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_that_may_not_be_read_is_bad_input_not_wrong_usage(name: str) -> None:
    """Click would call it wrong usage; whoever opens it says what is wrong."""
    paths = [each for each in COMMANDS[name].params if isinstance(each.type, click.Path) and not each.type.exists]
    assert [each.name for each in paths if isinstance(each.type, click.Path) and each.type.readable] == []
