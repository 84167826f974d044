"""A customer's script that runs in the same gdb forges what it answers: that costs neither memory nor time."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from tests.support.crashes import build_program
from tests.support.lab import Lab
from tests.support.watching import watch

#: Writes what our own Python would write; corebox's own gdb has not begun with its report by then.
REPORT = """
found = b"[" + b",".join([unit] * (size // (len(unit) + 1))) + b"]"
head = b'\\x1ecorebox-answer {"version":1,"step":0,"part":"stacks","error":null,"found":{"threads":'
data, out = head + found + b',"total":1,"gdb":null,"python":false}}\\x1e\\n', 1
"""
#: gdb has moved its standard output away: it is the pipe that it can only write to.
MESSAGE = """
import fcntl
found = b"[" + b",".join([unit] * (size // (len(unit) + 1))) + b"]"
body = b'{"type":"event","event":"output","seq":1,"body":{"output":"","x":' + found + b"}}"
data, ends = b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body, {}
for fd in range(1000):
    try:
        if os.readlink("/proc/self/fd/%d" % fd).startswith("pipe:"):
            ends.setdefault(os.readlink("/proc/self/fd/%d" % fd), []).append(fd)
    except OSError:
        pass
writable = lambda fd: fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
(out,) = {each[0] for each in ends.values() if all(map(writable, each))}
"""
RECORD = """
data, out = b"=x,x=[" + b",".join([unit] * (size // (len(unit) + 1))) + b"]\\n", 1
"""
WRITE = """
for _ in range(times):
    left = memoryview(data)
    while left:
        left = left[os.write(out, left):]
"""
FRAME = b'{"pc":"0x1","kind":"normal","function":"f","file":null,"line":1,"unwind":"cfi"}'
UNITS = {"lists": b"[]", "frames": FRAME, "texts": b'"%s"' % ("\u4e00".encode() * 1000)}
WHOLE = 62 << 20
MAX_MEMORY, MAX_SECONDS = 200, 10.0  # MB


@pytest.fixture
def forging(lab: Lab, tmp_path: Path) -> Callable[..., Path]:
    """Makes a crash whose library brings a script that writes ``data`` to ``out``."""

    def forging(making: str, unit: bytes, size: int, times: int) -> Path:
        program = build_program(tmp_path / "app")
        values = f"import os\nunit, size, times = {unit!r}, {size}, {times}\n"
        Path(f"{program.library}-gdb.py").write_text(values + making + WRITE)
        bundle = tmp_path / "x.corebox"
        lab.done("gather", program.crash(), "-o", bundle, "--no-nice")
        lab.build(bundle)
        return bundle

    return forging


def must_cost_little(lab: Lab, *words: object, said: bytes = b"") -> bytes:
    """Run a command which is told ``said``; its errors."""
    command = [sys.executable, "-m", "corebox", *map(str, words), "--engine", "bubblewrap"]
    environment = {"COREBOX_HOME": str(lab.home), "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        threading.Thread(target=discard, args=(process.stdout,)).start()
        process.stdin.write(said)
        process.stdin.flush()
        taken = watch(process, lab.home)
        errors: bytes = process.stderr.read()
    assert process.returncode in (0, 1, 3, 4), errors
    assert b"Traceback" not in errors
    assert max(each.memory for each in taken) < MAX_MEMORY, taken
    assert sum(each.seconds for each in taken) < MAX_SECONDS, taken
    return errors


def discard(stream: IO[bytes]) -> None:
    while stream.read(1 << 16):
        pass


@pytest.mark.parametrize("kind", UNITS)
@pytest.mark.parametrize("times", [1, 20])
def test_a_forged_report(lab: Lab, forging: Callable[..., Path], kind: str, times: int) -> None:
    bundle = forging(REPORT, UNITS[kind], WHOLE, times)
    must_cost_little(lab, "report", bundle, "--format", "json")


@pytest.mark.parametrize(("kind", "size"), [("lists", WHOLE), ("lists", 1 << 20), ("texts", 22 << 20)])
def test_a_fleets_worker(fresh_lab: Lab, forging: Callable[..., Path], kind: str, size: int) -> None:
    """One that is refused, and two that are within what is parsed."""
    fresh_lab.done("fleet", "add", forging(REPORT, UNITS[kind], size, 1))
    must_cost_little(fresh_lab, "fleet", "work", "--until-idle")
    status = fresh_lab.done("fleet", "status", "--json").json["crashes"]
    assert status == {"waiting": 0, "reported": int(size < WHOLE), "failed": int(size == WHOLE)}


@pytest.mark.parametrize(
    ("kind", "size", "refused"),
    [("lists", WHOLE, b"it has 65"), ("lists", 3 << 20, b"too much of it"), ("texts", 15 << 20, b"")],
)
def test_an_editors_adapter(lab: Lab, forging: Callable[..., Path], kind: str, size: int, refused: bytes) -> None:
    bundle = forging(MESSAGE, UNITS[kind], size, 4)
    asked = [("initialize", {"adapterID": "x"}), ("attach", {}), ("configurationDone", {}), ("disconnect", {})]
    told = b""
    for number, (command, arguments) in enumerate(asked, 1):
        message = {"type": "request", "seq": number, "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        told += b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    errors = must_cost_little(lab, "dap", bundle, said=told)
    assert refused in errors
    assert bool(refused) == (b"not a message" in errors)


@pytest.mark.parametrize(("size", "times"), [(WHOLE, 1), (15 << 20, 4)])
def test_a_client_of_the_machine_interface(lab: Lab, forging: Callable[..., Path], size: int, times: int) -> None:
    frame = b'frame={addr="0x12",func="??",fullname="/usr/src/x.c"}'
    bundle = forging(RECORD, frame, size, times)
    must_cost_little(lab, "mi", bundle, said=b"-target-select core x\n-stack-list-frames\n-gdb-exit\n")
