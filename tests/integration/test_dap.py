"""A crash debugged as editors do it: through VS Code's own client of the Debug Adapter Protocol."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.aftermath import World, adopting_orphans
from tests.support.crashes import build_program
from tests.support.editors import debug, words
from tests.support.lab import Lab
from tests.support.programs import FOLDER


def request(command: str, **arguments: str) -> bytes:
    """One as a client sends it."""
    body = json.dumps({"seq": 1, "type": "request", "command": command, "arguments": arguments}).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


MILLION = """
int million[1000000];
int main(void) { for (int i = 0; i < 1000000; i++) million[i] = i; return *(volatile int *)0; }
"""


@pytest.fixture(scope="module")
def image(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small crash, built."""
    folder = tmp_path_factory.mktemp("small")
    bundle = folder / "small.corebox"
    assert lab.corebox("gather", build_program(folder / "app").crash(), "-o", bundle).status == 0
    built: str = lab.build(bundle)["image_id"]
    return built


def must_be_the_crash(found: Any) -> None:
    assert len(found["threads"]) == 4
    names = [frame["name"] for frame in found["frames"]]
    assert names[0].startswith("compare")
    assert {"qsort_r", "sort_with"} <= set(names), "down through a library without debug information"
    assert names[-2].startswith("__libc_start") or names[-1] == "_start", names
    arguments = {name for name, _ in found["variables"]["Arguments"]}
    assert (arguments, {name for name, _ in found["variables"]["Locals"]}) == ({"left", "right"}, {"nothing"})
    assert dict(found["variables"]["Registers"])["rip"].startswith("0x")
    assert found["instructions"][0]["address"] == found["frames"][0]["instructionPointerReference"]
    assert found["instructions"][0]["instruction"].startswith("mov")


def test_an_editor_opens_the_crash(lab: Lab, bundle: Path, engine: str) -> None:
    image = lab.build(bundle)["image_id"]
    source = f"{FOLDER}/pipeline=/usr/src/pipeline"
    asked = [["*(const int *) left", "watch"], ["corebox why", "repl"]]
    running = ["next", "stepIn", "stepOut", "continue", "pause", "reverseContinue", "stepBack"]
    found = debug(lab, command=words(image, engine, "--source", source), evaluate=asked, refused=running)
    assert (found["opened"], found["status"]) == ("attach", 0)
    must_be_the_crash(found)
    assert found["stopped"]["reason"] == "exception"
    assert found["stopped"]["description"].startswith("SIGSEGV: Null pointer dereference")
    assert found["capabilities"]["supportsExceptionInfoRequest"] is True
    exception = found["exception"]
    assert (exception["exceptionId"], exception["breakMode"]) == ("SIGSEGV", "unhandled")
    assert exception["description"].startswith("Null pointer dereference")
    assert len(exception["details"]["message"].splitlines()) > 1, "the evidence follows"
    assert re.fullmatch(r"LWP \d+ pipeline", found["threads"][0]["name"])
    assert all(re.match(r"LWP \d+", each["name"]) for each in found["threads"])
    top = found["frames"][0]
    assert top["source"] == {"name": "plugin.cc", "path": f"{FOLDER}/pipeline/plugin.cc"}
    assert "*nothing =" in Path(top["source"]["path"]).read_text().splitlines()[top["line"] - 1]
    value, why = found["evaluated"]
    assert value in ("1", "2", "3")
    assert "Null pointer dereference" in why
    assert all("not a running one" in found["refused"][command] for command in running)
    assert "pipeline was killed by SIGSEGV" in found["said"], "the banner goes to the editor's console"


def test_one_that_launches_gets_the_crash_too(lab: Lab, image: str) -> None:
    wish = {"program": "/bin/true", "stopOnEntry": True, "cwd": "/"}
    command = [*words(image, "bubblewrap"), "-i=dap"]
    found = debug(lab, command=command, request="launch", arguments=wish)
    assert found["opened"] == "launch"
    assert found["frames"][0]["name"] == "fail"


def test_frames_without_symbols_are_named_by_their_module(lab: Lab, tmp_path: Path) -> None:
    bundle = tmp_path / "stripped.corebox"
    program = build_program(tmp_path / "app", "libfail.so", "-s")
    assert lab.corebox("gather", program.crash(), "-o", bundle).status == 0
    found = debug(lab, command=words(bundle, "bubblewrap"))
    assert found["frames"][0]["name"] == "fail"
    assert re.fullmatch(r"app\+0x[0-9a-f]+", found["frames"][1]["name"])


def test_instructions_are_those_that_gdb_prints(lab: Lab, bundle: Path) -> None:
    image = lab.build(bundle)["image_id"]
    places = {"memoryReference": "$pc", "resolveSymbols": True}
    asked = [
        ["disassemble", {**places, "instructionOffset": -200, "instructionCount": 400}],
        ["disassemble", {**places, "instructionOffset": 7, "instructionCount": 3}],
        ["disassemble", {**places, "memoryReference": "0x10", "instructionOffset": -3, "instructionCount": 6}],
    ]
    found = debug(lab, command=words(image, "bubblewrap"), asked=asked)
    around, later, nowhere = (each["instructions"] for each in found["asked"])
    addresses = [each["address"] for each in around]
    assert addresses[200] == found["frames"][0]["instructionPointerReference"]
    printed = lab.gdb(image, "bubblewrap", f"x/400i {addresses[0]}").output
    assert addresses == re.findall(r"^(?:=>)?\s+(0x[0-9a-f]+)", printed, re.MULTILINE)
    assert [each["address"] for each in later] == addresses[207:210]
    assert [each["presentationHint"] for each in nowhere] == ["invalid"] * 6


def test_answers_of_any_size_are_cut_and_the_session_goes_on(lab: Lab, image: str) -> None:
    large = "python print(',' * 30_000_000)"
    many = "python print([[]] * 10_000_000)"
    asked = [["readMemory", {"memoryReference": "$pc", "count": 1 << 30}], ["stackTrace", {"threadId": "$thread"}]]
    questions = [[large, "repl"], [many, "repl"], ["1 + 1", "watch"]]
    found = debug(lab, command=words(image, "bubblewrap"), evaluate=questions, asked=asked)
    assert [len(each) for each in found["evaluated"]] == [256 << 10, 256 << 10, 1]
    assert found["evaluated"][0].endswith(",…")
    _, stack = found["asked"]
    assert stack["totalFrames"] == len(stack["stackFrames"])


def test_an_array_of_a_million_is_expanded(lab: Lab, tmp_path: Path) -> None:
    """Which freezes other adapters: microsoft/vscode-cpptools, issue 13897."""
    (tmp_path / "million.c").write_text(MILLION)
    subprocess.run(["gcc", "-g", "million.c", "-o", "million"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "million"], cwd=tmp_path, check=False)
    (core,) = tmp_path.glob("core*")
    lab.done("gather", core, "-o", tmp_path / "x.corebox", "--no-nice")
    every = {"variablesReference": "$value"}
    asked = [["variables", every], ["variables", {**every, "start": 999_990, "count": 10}]]
    command = words(tmp_path / "x.corebox", "bubblewrap")
    found = debug(lab, command=command, evaluate=[["million", "watch"]], asked=asked)
    assert len(found["evaluated"][0]) < 10_000
    first, last = found["asked"]
    assert len(first["variables"]) == 10_000, "a page, though all were asked for"
    assert [each["name"] for each in last["variables"]] == [str(number) for number in range(999_990, 1_000_000)]
    assert [each["value"] for each in last["variables"]] == [str(number) for number in range(999_990, 1_000_000)]


def containers_of(lab: Lab) -> list[str]:
    """Those that have files of this desk."""
    every = subprocess.run(["docker", "ps", "--all", "--quiet"], capture_output=True, text=True, check=True)
    command = ["docker", "inspect", "--format", "{{.Id}} {{.Mounts}}", *every.stdout.split()]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [line.split()[0] for line in shown.splitlines() if str(lab.home) in line]


@contextmanager
def adapter(lab: Lab, subject: object, engine: str, *more: object) -> Iterator["subprocess.Popen[bytes]"]:
    """A ``corebox dap`` that leaves nothing when it is over."""
    with adopting_orphans():
        before = World.now(None)
        child = subprocess.Popen(
            words(subject, engine, *more),
            env={**os.environ, "COREBOX_HOME": str(lab.home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        yield child
        for stream in (child.stdin, child.stdout, child.stderr):
            assert stream
            stream.close()
        deadline = time.monotonic() + 10
        left = {"something"}
        while left and time.monotonic() < deadline:
            after = World.now(None)
            left = {*(after.children - before.children), *(after.mounts - before.mounts)}
            left.update(containers_of(lab) if engine == "docker" else [])
        assert left == set()


def begin(child: "subprocess.Popen[bytes]") -> None:
    """Let gdb run."""
    assert child.stdin
    assert child.stdout
    child.stdin.write(request("initialize"))
    child.stdin.flush()
    assert child.stdout.readline().startswith(b"Content-Length: ")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(lab: Lab, image: str, engine: str, sign: signal.Signals) -> None:
    with adapter(lab, image, engine) as child:
        begin(child)
        child.send_signal(sign)
        assert child.wait(30) == 130


def test_an_editor_that_dies_leaves_nothing(lab: Lab, image: str, engine: str) -> None:
    with adapter(lab, image, engine) as child:
        begin(child)
        assert child.stdin
        assert child.stdout
        child.stdin.close()
        child.stdout.close()
        assert child.stderr
        assert child.wait(30) == 0, child.stderr.read()


def test_a_gdb_that_ends_ends_the_session(lab: Lab, image: str, engine: str) -> None:
    with adapter(lab, image, engine) as child:
        begin(child)
        assert child.stdin
        assert child.stderr
        child.stdin.write(request("evaluate", context="repl", expression="python import os; os._exit(0)"))
        child.stdin.flush()
        assert child.wait(30) == 4, "while the editor still has its end open"
        assert b"gdb ended" in child.stderr.read()


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"Content-Length: 999999999\r\n\r\n{"])
def test_another_protocol_is_refused(lab: Lab, image: str, data: bytes) -> None:
    with adapter(lab, image, "bubblewrap") as child:
        assert child.stdin
        assert child.stderr
        child.stdin.write(data)
        child.stdin.flush()
        assert child.wait(30) == 3
        assert b"not a message of the Debug Adapter Protocol" in child.stderr.read()


def test_a_port_serves_one_after_the_other_and_only_this_machine(lab: Lab, image: str, engine: str) -> None:
    with adapter(lab, image, engine, "--listen", "0") as child:
        assert child.stderr
        listening = re.fullmatch(rb"listening on 127\.0\.0\.1:(\d+)\n", child.stderr.readline())
        assert listening
        port = int(listening.group(1))
        with socket.create_connection(("127.0.0.1", port)) as intruder:
            intruder.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
            assert intruder.recv(1) == b"", "nothing is answered, and the port goes on"
        for _ in range(2):
            assert debug(lab, port=port)["frames"][0]["name"] == "fail"
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", port), timeout=5)
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130
