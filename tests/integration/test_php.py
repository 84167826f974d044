"""PHP's functions in the frames that run them, as PHP itself printed them before it crashed."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_stacks import crashed_thread
from tests.support.lab import Lab
from tests.support.programs import FOLDER
from tests.support.stacks import crash

SHOP = FOLDER / "runtimes/shop.php"
_PRINTED = re.compile(r"#\d+ (?:\[internal function\]|(\S+)\((\d+)\)): ([^(]+)\(", re.MULTILINE)
#: Its name, and where it is; of the frame that a native function called, PHP prints no place.
Function = tuple[str, str | None, int | None]


def shown(thread: Any) -> list[Function]:
    """The functions of PHP of a thread, the innermost first."""
    found = [frame for frame in thread["frames"] if frame["language"] == "PHP"]
    each = [one for frame in found for one in (frame, *frame["inlined_into"])]
    return [(one["function"], one["file"], one["line"]) for one in each]


def printed(text: str) -> list[Function]:
    """The same out of debug_print_backtrace(): it prints where a function was called, and native functions as well."""
    calls = [
        (file or None, int(line) if line else None, name.replace("->", "::"))
        for file, line, name in _PRINTED.findall(text)
    ]
    names = [*(name for _, _, name in calls), "{main}"]
    places: list[tuple[str | None, int | None]] = [(None, None), *((file, line) for file, line, _ in calls)]
    return [(name, *place) for name, place in zip(names, places, strict=True) if name != "array_map"]


def test_functions_are_those_that_php_prints(tmp_path: Path, lab: Lab) -> None:
    alone = subprocess.run(["php", SHOP], cwd=tmp_path, capture_output=True, text=True, check=False)
    for core in tmp_path.glob("core*"):
        core.unlink()
    found, truth = shown(crashed_thread(lab, crash(tmp_path, "php", SHOP))), printed(alone.stdout)
    assert len(truth) == 8, alone.stdout
    assert [name for name, _, _ in found] == [name for name, _, _ in truth]
    assert [(file, line) for _, file, line in found[1:]] == [(file, line) for _, file, line in truth[1:]]
    assert found[0] == ("Acme\\Shop::pay", str(SHOP), 21)


def test_the_prompt_and_a_stack_without_end_have_them(tmp_path: Path, lab: Lab) -> None:
    """What php's bug tracker has most of: a __toString that calls itself, until the C stack is full."""
    (tmp_path / "deep.php").write_text(
        '<?php class Node { function __toString() { return "x" . new Node; } }\n"".new Node;'
    )
    made = crash(tmp_path / "crash", "php", tmp_path / "deep.php")
    gathered = tmp_path / "x.corebox"
    lab.done("gather", made.core, "-o", gathered)
    report = lab.done("report", "--format", "json", gathered).json
    assert report["family"] == "stack-overflow in recursion of Node::__toString"
    bt = lab.done("shell", gathered, "--engine", "bubblewrap", "--", "-batch", "-ex", "bt 30").output
    assert re.search(r"^#\d+ +0x[0-9a-f]+ in Node::__toString \(\) at \S+/deep\.php:1$", bt, re.MULTILINE), bt


@pytest.mark.parametrize(
    ("language", "command"),
    [
        ("Ruby 3.1", ["ruby", "-e", "def pay = Process.kill(:ABRT, $$) && sleep(1)\npay"]),
        ("Lua 5.4", ["lua5.4", "-e", 'local function pay() os.execute("kill -ABRT $PPID; sleep 1") end pay()']),
        ("Perl", ["perl", "-e", 'sub pay { kill "ABRT", $$; sleep 1 } pay()']),
        ("LuaJIT", ["luajit", "-e", 'local ffi = require("ffi"); ffi.cdef"void abort(void);"; ffi.C.abort()']),
    ],
)
def test_a_language_that_is_not_read_is_named(language: str, command: list[str], tmp_path: Path, lab: Lab) -> None:
    made = crash(tmp_path, *command)
    lab.done("gather", made.core, "-o", tmp_path / "x.corebox")
    assert f"no functions of {language}, only of what runs them" in lab.done("report", tmp_path / "x.corebox").output
