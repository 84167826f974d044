"""What to put into the configuration of an editor or IDE, so that it debugs a crash."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from corebox.actions.subject import check_file
from corebox.errors import UsageError

#: Editors do not wait long for their adapter, which may have to unpack a large crash.
_PATIENCE = 120  # seconds


class Call(NamedTuple):
    """How an editor is to call us: a program and its words, and what the user reads in its list."""

    name: str
    program: str
    words: list[str]


def configuration(editor: str, subject: str, more: tuple[str, ...] = ()) -> str:
    """The text for ``editor``; ``more`` are further words for ``corebox dap`` or ``corebox mi``.

    Sources of the formats: VS Code's extensions LLDB DAP (package.json) and C/C++ (MIEngine's LaunchOptions.cs); Zed's
    crates/dap_adapters/src/gdb.rs; nvim-dap's doc/dap.txt; dape's dape-configs; Helix' languages.toml.

    Raises:
        InputError: ``no-such-file``, ``not-a-file``.
        UsageError: ``wrong-usage`` for names that the editor's format cannot hold.
    """
    check_file(subject)
    # An editor starts the adapter in a folder of its own.
    subject = str(Path(subject).absolute()) if Path(subject).exists() else subject
    program, before = _program()
    command = "mi" if editor in _MACHINE_INTERFACE else "dap"
    call = Call(f"crash: {Path(subject).name}", program, [*before, command, subject, *more])
    if editor in _UNICODE and not all(map(_is_unicode, call.words)):
        hint = "give it another name: ln -s"
        raise UsageError("wrong-usage", f"{editor} cannot name files whose names are not UTF-8", hint)
    return _FORMATS[editor](call)


def _vscode(call: Call) -> str:
    """``.vscode/launch.json``, for the extension LLDB DAP."""
    adapter = {"debugAdapterExecutable": call.program, "debugAdapterArgs": call.words}
    return _launch_json({"name": call.name, "type": "lldb-dap", "request": "attach", **adapter})


def _cppdbg(call: Call) -> str:
    """``.vscode/launch.json``, for the extension C/C++.

    With a pipe it does not look for program, core and debugger on its own machine, and puts what it would have started
    in the place of ``${debuggerCommand}``.
    """
    pipe = {"pipeProgram": call.program, "pipeArgs": [*call.words, "--", "${debuggerCommand}"], "debuggerPath": "gdb"}
    opened = {"program": "crash", "coreDumpPath": "crash", "cwd": "/", "MIMode": "gdb"}
    return _launch_json({"name": call.name, "type": "cppdbg", "request": "launch", **opened, "pipeTransport": pipe})


def _launch_json(entry: object) -> str:
    return json.dumps({"version": "0.2.0", "configurations": [entry]}, indent=2)


def _zed(call: Call) -> str:
    """``.zed/debug.json``. To attach Zed would ask for a process, and it puts "-i=dap" first if it is nowhere."""
    started = {"gdb_path": call.program, "gdb_args": [*call.words, "-i=dap"]}
    return json.dumps(
        [{"label": call.name, "adapter": "GDB", "request": "launch", "program": call.name, **started}], indent=2
    )


_LUA = """\
local dap = require("dap")
local crash = {{
  type = "corebox", request = "attach", name = {name},
  command = {program}, args = {{ {words} }},
}}
dap.adapters.corebox = function(found, config)
  local options = {{ initialize_timeout_sec = {retrying} }}
  found({{ type = "executable", command = config.command, args = config.args, options = options }})
end
-- :DapContinue lists it in every buffer; :Corebox opens it at once.
if dap.providers then
  dap.providers.configs[{name}] = function() return {{ crash }} end
end
vim.api.nvim_create_user_command("Corebox", function() dap.run(crash) end, {{ desc = crash.name }})"""


def _neovim(call: Call) -> str:
    """Lua for nvim-dap."""
    name, program, *words = map(lua_string, (call.name, call.program, *call.words))
    return _LUA.format(name=name, program=program, words=", ".join(words), retrying=_PATIENCE)


_ELISP = """\
(with-eval-after-load 'dape
  (setq dape-request-timeout (max dape-request-timeout {retrying}))
  (setf (alist-get 'corebox dape-configs)
        '(modes nil
          command {program}
          command-args ({words})
          :type "corebox"
          :request "attach")))"""


def _emacs(call: Call) -> str:
    """Lisp for dape."""
    program, *words = map(lisp_string, (call.program, *call.words))
    return _ELISP.format(program=program, words=" ".join(words), retrying=_PATIENCE)


_TOML = """\
[[language]]
name = "{language}"

[language.debugger]
name = "corebox"
transport = "stdio"
command = {program}
args = [ {words} ]

[[language.debugger.templates]]
name = {name}
request = "attach"
completion = []
args = {{}}
"""


def _helix(call: Call) -> str:
    """``.helix/languages.toml``, where each language has a debugger of its own."""
    name, program, *words = map(_toml_string, (call.name, call.program, *call.words))
    made = [
        _TOML.format(language=each, name=name, program=program, words=", ".join(words)) for each in ("c", "cpp", "rust")
    ]
    return "\n".join(made).rstrip()


def _script(call: Call) -> str:
    """A program that stands for gdb, for clients which can be told the path of one and nothing else."""
    return f'#!/bin/sh\nexec {shlex.join([call.program, *call.words])} -- "$@"'


_FORMATS: dict[str, Callable[[Call], str]] = {
    "vscode": _vscode,
    "cppdbg": _cppdbg,
    "zed": _zed,
    "neovim": _neovim,
    "emacs": _emacs,
    "helix": _helix,
    "clion": _script,
    "eclipse": _script,
}
EDITORS = tuple(_FORMATS)
#: They speak gdb's machine interface.
_MACHINE_INTERFACE = ("cppdbg", "clion", "eclipse")
#: Their formats have Unicode only.
_UNICODE = ("vscode", "cppdbg", "zed", "helix")


def lua_string(text: str) -> str:
    """A string literal of Lua for any text (Lua manual, 3.1: Lexical Conventions)."""
    plain = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\{byte:03d}" for byte in os.fsencode(text)
    )
    return '"' + "".join(plain) + '"'


def lisp_string(text: str) -> str:
    """A string literal of Emacs Lisp for any text; bytes that are no text go as they are (its manual, "Non-ASCII")."""
    if _is_unicode(text):
        return '"' + re.sub(r'["\\]', r"\\\g<0>", text) + '"'
    plain = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\{byte:03o}" for byte in os.fsencode(text)
    )
    return '"' + "".join(plain) + '"'


def _is_unicode(text: str) -> bool:
    """Whether it is no name with bytes that Python could not decode (PEP 383)."""
    return not any("\udc80" <= char <= "\udcff" for char in text)


def _toml_string(text: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON but for pairs of surrogates."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _program() -> tuple[str, list[str]]:
    """How to call ourselves from anywhere: a program, and words for it."""
    found = shutil.which(sys.argv[0]) if Path(sys.argv[0]).name == "corebox" else None
    return (str(Path(found).absolute()), []) if found else (sys.executable, ["-m", "corebox"])
