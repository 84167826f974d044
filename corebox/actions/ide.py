"""What to put into the configuration of an editor or IDE, so that it debugs a crash."""

import json
import os
import shutil
import sys
from pathlib import Path

from corebox.actions.subject import check_file

EDITORS = ("vscode", "zed", "neovim")


def configuration(editor: str, subject: str, more: tuple[str, ...] = ()) -> str:
    """The text for ``editor``; ``more`` are further words for ``corebox dap``.

    Sources of the formats: VS Code's extension LLDB DAP (package.json), which can be told of any adapter; Zed's
    crates/dap_adapters/src/gdb.rs; nvim-dap's doc/dap.txt.

    Raises:
        InputError: ``no-such-file``, ``not-a-file``.
    """
    check_file(subject)
    # An editor starts the adapter in a folder of its own.
    subject = str(Path(subject).absolute()) if Path(subject).exists() else subject
    program, before = _program()
    words = [*before, "dap", subject, *more]
    name = f"crash: {Path(subject).name}"
    if editor == "neovim":
        return _LUA.format(lua_string(program), lua_string(name), ", ".join(map(lua_string, words)))
    return json.dumps((_vscode if editor == "vscode" else _zed)(name, program, words), indent=2)


def _vscode(name: str, program: str, words: list[str]) -> object:
    """``.vscode/launch.json``."""
    adapter = {"debugAdapterExecutable": program, "debugAdapterArgs": words}
    return {
        "version": "0.2.0",
        "configurations": [{"name": name, "type": "lldb-dap", "request": "attach", **adapter}],
    }


def _zed(name: str, program: str, words: list[str]) -> object:
    """``.zed/debug.json``. To attach Zed would ask for a process, and it puts "-i=dap" first if it is nowhere."""
    return [
        {
            "label": name,
            "adapter": "GDB",
            "request": "launch",
            "program": name,
            "gdb_path": program,
            "gdb_args": [*words, "-i=dap"],
        }
    ]


_LUA = """\
local dap = require("dap")
dap.adapters.corebox = {{ type = "executable", command = {0}, args = {{ {2} }} }}
local crash = {{ type = "corebox", request = "attach", name = {1} }}
for _, filetype in ipairs({{ "c", "cpp", "rust" }}) do
  dap.configurations[filetype] = dap.configurations[filetype] or {{}}
  table.insert(dap.configurations[filetype], crash)
end"""


def lua_string(text: str) -> str:
    """A string literal of Lua for any text (Lua manual, 3.1: Lexical Conventions)."""
    plain = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\{byte:03d}" for byte in os.fsencode(text)
    )
    return '"' + "".join(plain) + '"'


def _program() -> tuple[str, list[str]]:
    """How to call ourselves from anywhere: a program, and words for it."""
    found = shutil.which(sys.argv[0]) if Path(sys.argv[0]).name == "corebox" else None
    return (str(Path(found).absolute()), []) if found else (sys.executable, ["-m", "corebox"])
