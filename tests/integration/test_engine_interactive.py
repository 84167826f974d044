"""A session at a terminal, typed at through a pty."""

import re
import time
from pathlib import Path

from tests.support.lab import Lab
from tests.support.typist import PROMPT, sit_down


def test_a_session_at_a_terminal(lab: Lab, bundle: Path, any_engine: str) -> None:
    image = lab.build(bundle)["image_id"]
    typist = sit_down(lab, image, "--engine", any_engine)
    opened = typist.wait_for(PROMPT)
    assert b"pipeline was killed by SIGSEGV at address 0x0" in opened
    assert b"in thread 1 of 4 (LWP " in opened
    assert b": compare at plugin.cc:8, /opt/acme/plugins/sorter.so" in opened
    assert b" modules verified" in opened
    assert re.search(rb"\n2 of \d+ modules with full symbols", opened), "the program's two"
    assert b"none: /opt/acme/bin/pipeline (build ID " in opened
    assert b"Reading symbols" not in opened
    assert b"Type <RET> for more" not in opened, "the pager waits for the first prompt"
    typist.type(b"python while True: pass\n")
    time.sleep(1)
    typist.type(b"\x03")
    assert b"Quit" in typist.wait_for(PROMPT), "Ctrl-C stops the command and not the session"
    typist.type(b"backtrace 1\n")
    assert b"compare (left=" in typist.wait_for(PROMPT)
    assert typist.leave() == 0


def test_who_wants_no_colours_gets_none(lab: Lab, bundle: Path) -> None:
    """The setting gdb begins with depends on the terminal, too; what it heeds is there, and only if asked for."""
    asked = "python import os; print('heeds', os.environ.get('NO_COLOR'))"
    for value, told in (("1", "heeds 1"), ("", "heeds None")):
        assert told in lab.gdb(bundle, "bubblewrap", asked, env={"NO_COLOR": value}).output


def test_a_session_under_bubblewrap_has_bounded_memory_and_leaves_no_core(lab: Lab, bundle: Path) -> None:
    """A container has the engine's own limits; here the kernel keeps them (setrlimit(2))."""
    names = ("RLIMIT_DATA", "RLIMIT_CORE")
    script = "import resource; print('limits', *(resource.getrlimit(getattr(resource, name))[1] for name in {}))"
    shown = lab.gdb(bundle, "bubblewrap", "python " + script.format(names)).output
    assert f"limits {16 << 30} 0" in shown
