"""Cores made smaller, opened in both debuggers: what they show is what the full core shows."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.bundle.corecontent import CompactCore
from corebox.coredump.core import CoreFile, open_core
from corebox.reduce.slim import plan_slim, slim_pieces
from tests.support.compactcores import content_of
from tests.support.programs import FOLDER

SOURCES = FOLDER / "reduced"
CRASH = Path(__file__).parents[1] / "cores" / "crash.c"
DEBUGGERS = (str(Path(sys.executable).with_name("gdb")), "/usr/bin/gdb")  # ours, and the host's older one
BACKTRACES = (
    "set print frame-arguments all",
    "thread apply all bt full",
    "thread apply all info registers",
    "info sharedlibrary",
    "info threads",
)
# Reads every byte of the original's memory: the core given is asked for what the original has.
HASH = """python
import gdb, hashlib, os
digest = hashlib.sha256()
for span in os.environ["SPANS"].split():
    start, size = map(int, span.split(","))
    digest.update(gdb.selected_inferior().read_memory(start, size))
print("memory is", digest.hexdigest())
end
"""


def crash_c(folder: Path) -> str:
    program = folder / "crash"
    subprocess.run(["gcc", "-g", "-O1", "-pthread", str(CRASH), "-o", str(program)], check=True)
    subprocess.run([str(program)], cwd=folder, check=False)
    return str(program)


def crash_cpp(folder: Path) -> str:
    program = folder / "containers"
    subprocess.run(["g++", "-g", "-pthread", str(SOURCES / "containers.cpp"), "-o", str(program)], check=True)
    subprocess.run([str(program)], cwd=folder, check=False)
    return str(program)


def crash_python(folder: Path) -> str:
    subprocess.run(["/usr/bin/python3", str(SOURCES / "frames.py")], cwd=folder, check=False)
    return os.path.realpath("/usr/bin/python3")


def crash_node(folder: Path) -> str:
    script = "const many = []; for (let i = 0; i < 300000; i++) many.push({i, s: 'text ' + i});"
    subprocess.run(
        ["node", "-e", script + "setTimeout(() => process.abort(), 300)"], cwd=folder, check=False, capture_output=True
    )
    return os.path.realpath("/usr/bin/node")


def crash_redis(folder: Path) -> str:
    options = ["--port", "0", "--save", "", "--enable-debug-command", "yes", "--unixsocket", str(folder / "socket")]
    with subprocess.Popen(["redis-server", *options], cwd=folder, stdout=subprocess.DEVNULL) as server:
        while not (folder / "socket").exists():
            time.sleep(0.1)
        fill = ["redis-cli", "-s", str(folder / "socket"), "debug", "populate", "100000"]
        subprocess.run(fill, check=True, stdout=subprocess.DEVNULL)
        server.send_signal(signal.SIGABRT)
    return os.path.realpath("/usr/bin/redis-server")


CRASHES: list[tuple[Callable[[Path], str], float]] = [
    # How many times smaller the slim core is at least, of the stored bytes.
    (crash_c, 1),
    (crash_cpp, 50),
    (crash_python, 5),
    (crash_node, 3),
    (crash_redis, 3),
]


def show(debugger: str, program: str, core: Path, *commands: str, **environment: str) -> list[str]:
    """What the debugger says to the commands, but for the line that names the core."""
    command = [debugger, "-nx", "-batch", "-iex", "set debuginfod enabled off"]
    for each in commands:
        command += ["-ex", each]
    done = subprocess.run(
        [*command, program, str(core)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        text=True,
        errors="replace",
        check=True,
    )
    return done.stdout.replace(str(core), "CORE").splitlines()


def reduce(full: Path, small: Path, how: Callable[[CoreFile, int], None]) -> None:
    with open_core(str(full)) as core, small.open("wb") as out:
        how(core, out.fileno())


def slim(core: CoreFile, out: int) -> None:
    os.write(out, b"".join(slim_pieces(core, plan_slim(core))))


def compact(core: CoreFile, out: int) -> None:
    os.write(out, content_of(CompactCore(core)))


@pytest.mark.parametrize(("crash_it", "smaller"), CRASHES)
def test_a_slim_core_shows_the_same_backtraces_and_locals(
    tmp_path: Path, crash_it: Callable[[Path], str], smaller: float
) -> None:
    program = crash_it(tmp_path)
    full, small = tmp_path / "core", tmp_path / "slim"
    reduce(full, small, slim)
    with open_core(str(full)) as core:
        assert core.stored_size > smaller * small.stat().st_size
    for debugger in DEBUGGERS:
        shown = show(debugger, program, full, *BACKTRACES)
        assert len([line for line in shown if line.startswith("#")]) > 3
        assert show(debugger, program, small, *BACKTRACES) == shown


def test_a_compact_core_has_the_same_memory(tmp_path: Path) -> None:
    program = crash_cpp(tmp_path)
    full, small, script = tmp_path / "core", tmp_path / "compact", tmp_path / "script"
    reduce(full, small, compact)
    script.write_text(HASH)
    with open_core(str(full)) as core:
        spans = " ".join(f"{each.address},{each.file_size}" for each in core.segments if each.file_size)
        assert small.stat().st_size < core.stored_size + (1 << 20) < core.size
    for debugger in DEBUGGERS:
        commands = (*BACKTRACES, f"source {script}")
        shown = show(debugger, program, full, *commands, SPANS=spans)
        assert shown[-1].startswith("memory is ")
        assert show(debugger, program, small, *commands, SPANS=spans) == shown
