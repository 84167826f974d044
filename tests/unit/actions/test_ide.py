"""What editors are told about a crash."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from corebox.actions.ide import EDITORS, configuration, lisp_string
from corebox.errors import InputError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "crash.corebox"
    path.touch()
    return path


def launched(editor: str, *more: str) -> Any:
    (found,) = json.loads(configuration(editor, "crash.corebox", more))["configurations"]
    return found


def test_vscode_starts_the_adapter_from_any_folder(bundle: Path) -> None:
    found = launched("vscode", "--engine", "docker")
    assert Path(found["debugAdapterExecutable"]).is_absolute()
    assert found["debugAdapterArgs"][-4:] == ["dap", str(bundle), "--engine", "docker"]
    assert (found["type"], found["request"]) == ("lldb-dap", "attach")


def test_cppdbg_starts_a_gdb_through_a_pipe(bundle: Path) -> None:
    found = launched("cppdbg")
    pipe = found["pipeTransport"]
    assert pipe["pipeArgs"][-4:] == ["mi", str(bundle), "--", "${debuggerCommand}"]
    assert (found["type"], found["request"], found["MIMode"]) == ("cppdbg", "launch", "gdb")
    assert found["coreDumpPath"]


def test_the_name_of_an_image_stays_as_it_is() -> None:
    (found,) = json.loads(configuration("zed", "registry.example.com/team/crash:1"))
    assert found["gdb_args"][-3:] == ["dap", "registry.example.com/team/crash:1", "-i=dap"]
    assert (found["adapter"], found["request"]) == ("GDB", "launch")


#: The keys that each editor's own source has for what is printed; it would pass over others, or refuse them.
KEYS = {
    # llvm-project, lldb/tools/lldb-dap/package.json, "attach", since its pull requests 126803 and 129262
    "vscode": "debugAdapterExecutable debugAdapterArgs",
    # vscode-cpptools 1.34, Extension/package.json, debuggers, cppdbg, "launch"
    "cppdbg": "program coreDumpPath cwd MIMode pipeTransport",
    # the same, "pipeTransport"
    "pipeTransport": "pipeCwd pipeProgram pipeArgs debuggerPath pipeEnv quoteArgs",
    # zed, crates/dap_adapters/src/gdb.rs, dap_schema, since its pull request 37193
    "zed": "program args cwd env gdb_path gdb_args",
    # helix, helix-core/src/syntax/config.rs, DebugAdapterConfig and DebugTemplate
    "helix": "name transport command args port-arg templates quirks",
    "templates": "name request completion args",
}


def test_editors_know_the_keys(bundle: Path) -> None:
    of_every_editor = {"name", "type", "request"}
    for editor in ("vscode", "cppdbg"):
        assert set(launched(editor)) - of_every_editor <= set(KEYS[editor].split())
    assert set(launched("cppdbg")["pipeTransport"]) <= set(KEYS["pipeTransport"].split())
    (zed,) = json.loads(configuration("zed", "crash.corebox"))
    assert set(zed) - {"label", "adapter", "request"} <= set(KEYS["zed"].split())
    helix = tomllib.loads(configuration("helix", "crash.corebox"))
    for language in helix["language"]:
        assert set(language) == {"name", "debugger"}
        assert set(language["debugger"]) <= set(KEYS["helix"].split())
        assert all(set(each) <= set(KEYS["templates"].split()) for each in language["debugger"]["templates"])


@pytest.mark.parametrize("editor", ["clion", "eclipse"])
def test_a_script_stands_for_gdb(editor: str, tmp_path: Path) -> None:
    path = tmp_path / "it's a crash.corebox"
    path.touch()
    first, second = configuration(editor, str(path), ("--engine", "docker")).splitlines()
    assert first == "#!/bin/sh"
    assert shlex.split(second)[-6:] == ["mi", str(path), "--engine", "docker", "--", "$@"]


def test_helix_has_it_for_each_language(bundle: Path) -> None:
    text = configuration("helix", "crash.corebox")
    assert text.count(f'"dap", "{bundle}"') == text.count("[[language]]") == 3


@pytest.mark.parametrize("editor", EDITORS)
def test_what_is_no_file_is_refused(editor: str) -> None:
    with pytest.raises(InputError):
        configuration(editor, "./nothing.corebox")


@pytest.mark.parametrize("editor", EDITORS)
def test_a_name_that_is_not_unicode(editor: str, tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/cr\xe9sh.corebox")
    Path(path).touch()
    if editor in ("neovim", "emacs", "clion", "eclipse"):
        assert "sh.corebox" in configuration(editor, path)
    else:
        with pytest.raises(UsageError, match="not UTF-8"):
            configuration(editor, path)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain é", '"plain é"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        (os.fsdecode(b"cr\xe9sh\n"), '"cr\\351sh\\012"'),
    ],
)
def test_strings_of_lisp(text: str, literal: str) -> None:
    assert lisp_string(text) == literal
