"""Help on commands and topics, the versions, and manual pages."""

import importlib.machinery
import importlib.util
import platform
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

import corebox
from corebox.cli.commands import COMMANDS, GROUPS
from corebox.cli.main import main, program
from corebox.cli.topics import TOPICS

ROOT = Path(__file__).parents[3]


def _manpages() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("manpages", str(ROOT / "tools" / "manpages"))
    spec = importlib.util.spec_from_loader("manpages", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs one."""
    monkeypatch.setenv("COREBOX_HOME", str(tmp_path / "home"))


def test_commands_are_grouped_by_what_a_person_wants(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    titles = [each for each in re.findall(r"^(\S.*):$", said, re.MULTILINE) if each != "Options"]
    assert titles == list(GROUPS)
    assert re.findall(r"^  ([a-z]+)  ", said.partition(titles[0])[2], re.MULTILINE) == list(COMMANDS)


def test_no_command_has_two_names() -> None:
    assert len(set(COMMANDS.values())) == len(COMMANDS)
    assert not set(COMMANDS) & set(TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
def test_topics(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", topic]) == 0
    said = capsys.readouterr().out
    assert all(len(line) <= 100 for line in said.splitlines())
    assert TOPICS[topic].partition("\n")[0].split()[0] in said
    assert "\b" not in said


@pytest.mark.parametrize("words", [["shell"], ["toolbox", "build"], []])
def test_help_on_a_command_is_its_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", *words]) == 0
    explained = capsys.readouterr().out
    assert main([*words, "--help"]) == 0
    assert capsys.readouterr().out == explained


def test_help_on_nothing_known_names_what_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "frobnication"]) == 2
    assert "status" in capsys.readouterr().err


def test_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"corebox {corebox.__version__}", f"Python {platform.python_version()}"]
    assert "corebox toolbox build" in lines[2]
    assert not (tmp_path / "home").exists(), "asking makes no store"


def test_each_command_has_a_page_with_all_its_options() -> None:
    module = _manpages()
    pages = dict(module.pages(program, click.Context(program, info_name="corebox"), "corebox"))
    assert {f"corebox-{name}.1" for name in COMMANDS} | {"corebox.1", "corebox-toolbox-build.1"} <= pages.keys()
    shell = pages["corebox-shell.1"]
    assert shell.startswith('.TH COREBOX\\-SHELL 1 "" "corebox ')
    for option in ("--engine", "--core", "--no-customer-code"):
        assert option.replace("-", "\\-") in shell
    assert "\\-\\-redact" in pages["corebox-gather.1"]
    for name, page in pages.items():
        requests = set(re.findall(r"^\.[A-Za-z]+", page, re.MULTILINE))
        assert requests <= {".TH", ".SH", ".PP", ".TP", ".B", ".BR", ".nf", ".fi"}, name
        assert not re.search(r"^'", page, re.MULTILINE), name
        assert "\b" not in page, name


def test_help_prints_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "--man", "toolbox", "build"]) == 0
    assert capsys.readouterr().out.startswith(".TH COREBOX\\-TOOLBOX\\-BUILD 1")
