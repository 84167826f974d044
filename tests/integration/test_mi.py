"""A crash debugged by clients of gdb's machine interface: pygdbmi, and Emacs."""

import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pygdbmi.gdbcontroller import GdbController

from tests.support.aftermath import World, adopting_orphans
from tests.support.crashes import build_program
from tests.support.editors import COMPILED_IN, SOURCES, corebox_words, crash_of_items, machine_interface, run_editor
from tests.support.editors import the_line as line_with
from tests.support.lab import Lab

ITEMS = SOURCES / "items.c"


@pytest.fixture(scope="module")
def image(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A crash of a program with threads and sources."""
    return crash_of_items(lab, tmp_path_factory.mktemp("items") / "app")


def process_of(gdb: GdbController) -> "subprocess.Popen[bytes]":
    """The ``corebox mi`` that it has started."""
    assert gdb.gdb_process
    return gdb.gdb_process


def ask(gdb: GdbController, command: str) -> tuple[str, Any, str]:
    """Kind and content of the answer, and what gdb said for the console meanwhile."""
    records = gdb.write(command, timeout_sec=1, raise_error_on_timeout=False)
    while not any(record["type"] == "result" for record in records):
        records += gdb.get_gdb_response(timeout_sec=60)
    answer = next(record for record in records if record["type"] == "result")
    console = "".join(record["payload"] for record in records if record["type"] in ("console", "log"))
    return answer["message"], answer["payload"], console


def test_a_client_gets_the_crash_whatever_it_opens(
    lab: Lab, image: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"{SOURCES}={COMPILED_IN}"
    words = (image, "--engine", engine, "--source", source, "--", "--interpreter=mi2", "-q", "--nx")
    with machine_interface(lab, monkeypatch, *words) as gdb:
        kind, _, console = ask(gdb, "-gdb-set non-stop off")
        assert (kind, "items was killed by SIGSEGV" in console) == ("done", True), (
            "the banner goes to the client's console"
        )
        # As VS Code's cppdbg, CLion and Eclipse begin with a core.
        assert ask(gdb, "-file-exec-and-symbols /home/me/items")[0] == "done"
        assert ask(gdb, "-gdb-set sysroot /home/me/sysroot")[0] == "done"
        kind, frame, _ = ask(gdb, "-target-select core /home/me/core")
        assert (kind, frame["frame"]["func"], frame["frame"]["fullname"]) == ("connected", "compare", str(ITEMS))
        assert frame["frame"]["line"] == str(line_with("it dies here"))
        stack = [each["func"] for each in ask(gdb, "-stack-list-frames")[1]["stack"]]
        assert (stack[0], stack[-1]) == ("compare", "main")
        threads = ask(gdb, "-thread-info")[1]["threads"]
        assert [each["state"] for each in threads] == ["stopped", "stopped"]
        assert all("LWP" in each["target-id"] for each in threads)
        kind, lines, _ = ask(gdb, f"-data-disassemble -f {ITEMS} -l {line_with('it dies here')} -n 4 -- 0")
        assert (kind, len(lines["asm_insns"])) == ("done", 4), "the client's name of a file is put back"


def test_nothing_runs_nothing_is_too_large_and_the_session_goes_on(
    lab: Lab, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine_interface(lab, monkeypatch, image, "--engine", "bubblewrap", "--", "-i=mi") as gdb:
        ask(gdb, "-gdb-set non-stop off")
        for command in ("run", "continue", "next", "step", "finish", "interrupt"):
            kind, said, _ = ask(gdb, f"-exec-{command}")
            assert (kind, "not a running one" in said["msg"]) == ("error", True)
        assert "not a running one" in ask(gdb, "-target-select native")[1]["msg"]
        assert "corebox rerun" in ask(gdb, '-interpreter-exec console "start"')[1]["msg"]
        _, refused, _ = ask(gdb, "-exec-continue")
        for command in ("continue", "c", "cont"):
            assert ask(gdb, f'-interpreter-exec console "{command}"')[1] == refused, "one sentence for it"
        kind, _, console = ask(gdb, "-interpreter-exec console \"python print(',' * 3_000_000)\"")
        assert (kind, len(console), console[-2:]) == ("done", 256 << 10, "…\n")
        process_of(gdb).send_signal(signal.SIGINT)
        assert ask(gdb, "-data-evaluate-expression first->key")[1] == {"value": "2"}


def test_a_command_that_takes_long_is_interrupted(
    lab: Lab, image: str, any_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine_interface(lab, monkeypatch, image, "--engine", any_engine, "--", "-i=mi") as gdb:
        ask(gdb, "-list-features")
        begun = gdb.write('-interpreter-exec console "python print(1, flush=True); import time; time.sleep(300)"')
        assert any(record["payload"] == "1\n" for record in begun), begun
        process_of(gdb).send_signal(signal.SIGINT)
        said = ask(gdb, "-data-evaluate-expression 6*7")
        assert said[:2] == ("error", {"msg": "Quit"}), "what gdb says to the command before"
        assert ask(gdb, "-data-evaluate-expression 6*7")[:2] == ("done", {"value": "42"})


def test_a_client_that_goes_leaves_nothing(lab: Lab, image: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with adopting_orphans():
        before = World.now(None)
        with machine_interface(lab, monkeypatch, image, "--engine", engine, "--", "-i=mi") as gdb:
            ask(gdb, "-list-features")
            process_of(gdb).send_signal(signal.SIGTERM)
            assert process_of(gdb).wait(30) == 130
        after = World.now(None)
        assert {*(after.children - before.children), *(after.mounts - before.mounts)} == set()


def test_the_version_is_gdbs(lab: Lab, image: str) -> None:
    said = lab.done("mi", image, "--engine", "bubblewrap", "--", "--version").output
    assert re.match(r"GNU gdb \(GDB\) \d+\.\d+\n", said), "clients read which gdb it is"


def test_emacs_shows_the_crash(lab: Lab, image: str, tmp_path: Path) -> None:
    words = corebox_words("mi", image, "--engine", "bubblewrap", "--source", f"{SOURCES}={COMPILED_IN}", "--", "-i=mi")
    script = SOURCES / "machine_interface.el"
    said = run_editor(lab, "emacs", "-Q", "--batch", "-l", script, GDB_LINE=shlex.join(words), HOME=str(tmp_path))
    line = line_with("it dies here")
    assert f"0 in compare of {COMPILED_IN}/items.c:{line}" in said
    assert re.search(rf"^\d in main of {COMPILED_IN}/items.c:\d+$", said, re.MULTILINE)
    assert len(re.findall(r"^\d Thread 0x\w+ \(LWP \d+\) stopped in ", said, re.MULTILINE)) == 2
    assert re.search(r"^int \* +nothing +0x0$", said, re.MULTILINE)
    assert f"compare is in {ITEMS}\n" in said
    assert "one: next is not possible" in said
    assert said.endswith("ended 0\n")


def test_frames_without_symbols_are_named_by_their_module(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "stripped.corebox"
    program = build_program(tmp_path / "app", "libfail.so", "-s")
    assert lab.corebox("gather", program.crash(), "-o", bundle).status == 0
    with machine_interface(lab, monkeypatch, bundle, "--engine", "bubblewrap", "--", "-i=mi") as gdb:
        stack = ask(gdb, "-stack-list-frames")[1]["stack"]
    assert stack[0]["func"] == "fail"
    assert re.fullmatch(r"app\+0x[0-9a-f]+", stack[1]["func"])
