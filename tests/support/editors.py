"""A crash to be looked at from editors, and programs that look."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pygdbmi.gdbcontroller import GdbController

from tests.support.lab import Lab
from tests.support.programs import FOLDER, REPOSITORY

#: VS Code's own client of the Debug Adapter Protocol.
CLIENT = REPOSITORY / "tests" / "client" / "session.js"
SOURCES = FOLDER / "editors"
#: What the folder of sources is called in debug information.
COMPILED_IN = "/build/acme"


def crash_of_items(lab: Lab, folder: Path) -> str:
    """The image of the program in ``editors``, crashed."""
    folder.mkdir()
    program = folder / "items"
    flags = ("-g", "-O0", "-pthread", f"-ffile-prefix-map={SOURCES}={COMPILED_IN}")
    subprocess.run(["gcc", *flags, "-o", program, SOURCES / "items.c"], check=True)
    subprocess.run([program], cwd=folder, check=False)
    (core,) = folder.glob("core*")
    bundle = folder / "items.corebox"
    assert lab.corebox("gather", core, "-o", bundle).status == 0
    built: str = lab.build(bundle)["image_id"]
    return built


def the_line(text: str) -> int:
    """The number of the line in the program's source that has ``text``."""
    lines = (SOURCES / "items.c").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def corebox_words(*words: object) -> list[str]:
    """How a client starts corebox."""
    return [sys.executable, "-m", "corebox", *map(str, words)]


def words(subject: object, engine: str, *more: object) -> list[str]:
    """How an editor starts the adapter."""
    return corebox_words("dap", subject, "--engine", engine, *more)


def debug(lab: Lab, **wish: object) -> Any:
    """What the client was answered, as JSON."""
    environment = {**os.environ, "COREBOX_HOME": str(lab.home)}
    command = ["node", str(CLIENT), json.dumps({"request": "attach", **wish})]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def machine_interface(lab: Lab, monkeypatch: pytest.MonkeyPatch, *words: object) -> Iterator[GdbController]:
    """A client that has started ``corebox mi`` as its gdb."""
    monkeypatch.setenv("COREBOX_HOME", str(lab.home))
    controller = GdbController(corebox_words("mi", *words), time_to_check_for_additional_output_sec=0.1)
    try:
        yield controller
    finally:
        controller.exit()


def run_editor(lab: Lab, *command: object, **environment: str) -> str:
    """What an editor writes that runs a script and ends."""
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "COREBOX_HOME": str(lab.home), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
