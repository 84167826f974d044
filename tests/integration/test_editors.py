"""What corebox ide prints, in the editors; and what editors ask for that they have not got."""

import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.editors import COMPILED_IN, SOURCES, crash_of_items, debug, run_editor, the_line, words
from tests.support.emacs import emacs_with_dape
from tests.support.lab import Lab


@pytest.fixture(scope="module")
def image(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A crash of a program with threads and sources."""
    return crash_of_items(lab, tmp_path_factory.mktemp("items") / "app")


def test_neovim_opens_the_crash_in_any_buffer(lab: Lab, image: str, tmp_path: Path) -> None:
    more = ("--", "--engine", "bubblewrap", "--source", f"{SOURCES}={COMPILED_IN}")
    configuration = tmp_path / "crash.lua"
    configuration.write_text(lab.done("ide", "neovim", image, *more).output)
    script = SOURCES / "crash.lua"
    said = run_editor(lab, "nvim", "--headless", "-u", "NONE", "-S", script, CONFIGURATION=str(configuration))
    line = the_line("it dies here")
    assert said.splitlines()[:4] == [
        f"listed: crash: {image}, 1",
        "waits for 120 seconds",
        "stopped: SIGSEGV: SIGSEGV: Null pointer dereference",
        f"at items.c:{line}: {(SOURCES / 'items.c').read_text().splitlines()[line - 1].strip()}",
    ]
    assert said.endswith("ended 0\n")


def test_a_source_that_is_nowhere_says_what_to_give(lab: Lab, image: str) -> None:
    found = debug(
        lab, command=words(image, "bubblewrap"), asked=[["source", {"sourceReference": "$source"}]], hasty=True
    )
    assert found["stopped"]["description"].startswith("SIGSEGV: Null pointer dereference")
    assert found["frames"][0]["source"]["path"] == f"{COMPILED_IN}/items.c"
    assert f"--source DIR={COMPILED_IN}," in found["asked"][0]
    assert "--source debuginfod" in found["asked"][0]


def test_a_source_is_sent_to_an_editor_on_another_machine(lab: Lab, image: str, engine: str) -> None:
    command = words(image, engine, "--source", f"{SOURCES}={COMPILED_IN}", "--send-sources")
    found = debug(lab, command=command, asked=[["source", {"sourceReference": "$source"}], ["loadedSources", {}]])
    source, loaded = found["asked"]
    assert source["content"] == (SOURCES / "items.c").read_text()
    assert all(each["sourceReference"] > 0 for each in loaded["sources"])


def test_the_script_for_clion_is_a_gdb(lab: Lab, image: str, tmp_path: Path) -> None:
    script = tmp_path / "crash-gdb"
    script.write_text(lab.done("ide", "clion", image, "--", "--engine", "bubblewrap").output)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    said = run_editor(lab, script, "--version")
    assert re.match(r"GNU gdb \(GDB\) \d+\.\d+\n", said)
    asked = "1-file-exec-and-symbols /x\n2-target-select core /y\n3-stack-info-frame\n4-gdb-exit\n"
    command = [str(script), "--interpreter=mi2", "--nx", "-q"]
    environment = {"COREBOX_HOME": str(lab.home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, input=asked, env=environment, capture_output=True, text=True, check=True)
    assert '3^done,frame={level="0"' in done.stdout
    assert 'func="compare"' in done.stdout


def test_neovims_configuration_takes_any_name(lab: Lab, tmp_path: Path) -> None:
    subject = tmp_path / 'a"b\\c\n\x1b[1mé.corebox'
    subject.touch()
    configuration = tmp_path / "crash.lua"
    configuration.write_text(lab.done("ide", "neovim", subject).output)
    stub = "package.preload.dap = function() return { adapters = {} } end\n"
    ask = "local dap = require('dap')\ndap.run = function(config) io.write(config.args[#config.args]) end\n"
    run = f"dofile('{configuration}')\nvim.cmd('Corebox')\nvim.cmd('qall!')\n"
    script = tmp_path / "ask.lua"
    script.write_text(stub + ask + run)
    assert run_editor(lab, "nvim", "--headless", "-u", "NONE", "-S", script) == str(subject)


def test_emacs_opens_the_crash_with_dape(lab: Lab, image: str, tmp_path: Path) -> None:
    more = ("--", "--engine", "bubblewrap", "--source", f"{SOURCES}={COMPILED_IN}")
    configuration = tmp_path / "crash.el"
    configuration.write_text(lab.done("ide", "emacs", image, *more).output)
    command, environment = emacs_with_dape()
    environment.update(CONFIGURATION=str(configuration), HOME=str(tmp_path))
    said = run_editor(lab, *command, "-l", SOURCES / "dape.el", **environment)
    line = (SOURCES / "items.c").read_text().splitlines()[the_line("it dies here") - 1].strip()
    refused = (
        "This is a crashed process, not a running one: next is not possible. Look at its threads, stack, variables"
    )
    assert said.splitlines() == [
        "SIGSEGV:",
        "\tSIGSEGV: Null pointer dereference",
        "2 threads",
        f"compare at items.c: {line}",
        "$1 = 2",
        f'Failed to "next": {refused} and memory; to start the program: corebox rerun SUBJECT',
    ]


def test_emacs_takes_any_name(lab: Lab, tmp_path: Path) -> None:
    subject = tmp_path / 'a"b\\c\n\x1b[1mé.corebox'
    subject.touch()
    configuration = tmp_path / "crash.el"
    configuration.write_text(lab.done("ide", "emacs", subject).output)
    stub = "(defvar dape-configs nil) (defvar dape-request-timeout 10) (provide 'dape)"
    ask = f"""{stub} (load "{configuration}") (let ((made (alist-get 'corebox dape-configs)))
        (princ (car (last (plist-get made 'command-args)))) (princ dape-request-timeout))"""
    assert run_editor(lab, "emacs", "-Q", "--batch", "--eval", f"(progn {ask})") == f"{subject}120"
