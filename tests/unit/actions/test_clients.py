"""Clients that speak to gdb through our standard streams: GDB/MI and the Debug Adapter Protocol."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.vendor import Vendor

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

#: A gdb that answers each command as it is, and ends with the last.
MI = r"""
import sys
print("(gdb) ", flush=True)
for line in sys.stdin:
    token = line[: len(line) - len(line.lstrip("0123456789"))]
    asked = line[len(token):].strip()
    done = "exit" if asked == "-gdb-exit" else "done"
    print(f'~"{asked}\\n"\n{token}^{done}\n(gdb) ', flush=True)
    if done == "exit":
        break
"""
#: A gdb that answers each request, and ends with "disconnect".
DAP = r"""
import json, sys
number = 0
def send(message):
    global number
    number += 1
    data = json.dumps({**message, "seq": number}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
    sys.stdout.buffer.flush()
while True:
    size = 0
    while (line := sys.stdin.buffer.readline()).strip():
        size = int(line.split(b":")[1])
    if not size:
        break
    asked = json.loads(sys.stdin.buffer.read(size))
    answer = {"type": "response", "request_seq": asked["seq"], "command": asked["command"], "success": True}
    send({**answer, "body": {"asked": asked.get("arguments")}})
    if asked["command"] == "initialize":
        send({"type": "event", "event": "initialized"})
    if asked["command"] == "disconnect":
        break
"""


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """What a client says to the process itself, and no more."""
    reading, writing = os.pipe()
    before = os.dup(0)
    os.write(writing, data)
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


@pytest.fixture
def image(desk: Vendor) -> Iterator[str]:
    """The crash, built, for an engine that was tried; whatever gdb was is gone afterwards."""
    desk.good("build", "--no-load", "-t", "app:1", desk.bundle)
    desk.good("report", "app:1")
    yield "app:1"
    desk.stub.write_client()


def test_a_client_of_mi_gets_the_crash_whatever_it_wants_to_open(
    desk: Vendor, image: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    desk.stub.become(MI)
    said = b'1-file-exec-and-symbols "/home/me/app"\n2-stack-list-frames\n3-exec-run\n4-gdb-exit\n'
    with standard_input(said):
        desk.good("mi", image, "--", "--interpreter=mi2", "-nx")
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert '~"-stack-list-frames\\n"' in lines
    assert "2^done" in lines
    assert not [line for line in lines if "/home/me/app" in line], "gdb is not asked to open another"
    assert [line for line in lines if line.startswith("1^")]
    assert lines.index("2^done") < lines.index("4^exit")
    assert not desk.stub.containers


def packed(*requests: dict[str, object]) -> bytes:
    texts = (json.dumps({"seq": number, "type": "request", **each}) for number, each in enumerate(requests, 1))
    return b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(text), text.encode()) for text in texts)


def unpacked(data: bytes) -> list[dict[str, object]]:
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        size = int(head.split(b":")[1])
        found.append(json.loads(rest[:size]))
        data = rest[size:]
    return found


def test_an_editor_gets_the_crash_whatever_it_wants_to_attach_to(
    desk: Vendor, image: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    desk.stub.become(DAP)
    said = packed(
        {"command": "initialize", "arguments": {"adapterID": "gdb"}},
        {"command": "attach", "arguments": {"program": "/home/me/app"}},
        {"command": "threads"},
        {"command": "disconnect"},
    )
    with standard_input(said):
        desk.good("dap", image)
    messages = unpacked(capfdbinary.readouterr().out)
    answered = {each["request_seq"]: each for each in messages if each["type"] == "response"}
    assert [answered[number]["success"] for number in (1, 3, 4)] == [True] * 3
    assert "/home/me/app" not in json.dumps(messages)
    assert not desk.stub.containers
