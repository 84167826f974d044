"""What a hostile customer's script and libthread_db reach from inside the sandbox: nothing."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.gather.cli import main
from tests.support.crashes import build_hostile
from tests.support.lab import Lab
from tests.support.typist import PROMPT, Typist

#: The ways that are tried by the script, and those that only native code can try.
WAYS, NATIVE = 73, 8


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A bundle with code of a customer's that gdb loads by itself, and the text that it must not get to read."""
    folder = tmp_path_factory.mktemp("hostile")
    secret = folder / "secret"
    secret.write_text("the vendor's own")
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"\0corebox-test-{os.getpid()}")
        local.listen()
        known = f"PORT = {listener.getsockname()[1]}\nSOCKET = {local.getsockname()!r}\nSECRET = {str(secret)!r}\n"
        core = build_hostile(folder / "app", known).crash()
        assert main([str(core), "-o", str(folder / "x.corebox"), "--no-nice"]) == 0
        yield folder / "x.corebox", secret.read_text()


def test_nothing_is_reached(
    hostile: tuple[Path, str], any_engine: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, secret = hostile
    monkeypatch.setenv("COREBOX_TEST_SECRET", secret)
    shown = lab.gdb(bundle, any_engine, "echo alive\\n").output
    assert "native code runs" in shown
    assert shown.count("tried everything") == 2, shown  # by the script, and from the libthread_db
    assert "REACHED" not in shown, shown
    assert secret not in shown
    assert shown.count("refused ") == 2 * WAYS + NATIVE
    assert shown.rstrip().endswith("alive")  # the session goes on
    assert lab.corebox("verify", bundle).status == 0


def test_no_customer_code_loads_none(hostile: tuple[Path, str], engine: str, lab: Lab) -> None:
    bundle, _ = hostile
    shown = lab.gdb(bundle, engine, "backtrace", "info threads", options=["--no-customer-code"])
    for word in ("refused", "native code runs", "tried everything", "using libthread_db"):
        assert word not in shown.output + shown.errors
    assert "fail ()" in shown.output


def test_the_terminal_is_left_as_it_was(hostile: tuple[Path, str], engine: str, lab: Lab) -> None:
    """In a session that spoils it: raw mode, the other screen, and input that nobody has typed."""
    bundle, _ = hostile
    lab.build(bundle)
    shell = f"{sys.executable} -m corebox shell {bundle} --engine {engine}"
    told = f"stty -g; {shell}; echo status=$?; stty -g; echo 'WAITING['; timeout 1 cat; echo ']'; sleep 1"
    environment = {**os.environ, "COREBOX_HOME": str(lab.home), "TERM": "xterm-256color", "PS1": ""}
    typist = Typist(["sh", "-c", told], environment)
    before = typist.wait_for(b"\n").strip()
    assert typist.wait_for(PROMPT, 300).count(b"tried everything") == 2
    typist.type(b"quit\n")
    typist.wait_for(b"spoilt", 300)
    typist.type(b"\x1b[1;1R\necho owned\n")  # as the terminal answers the script's query, and worse
    ended = typist.wait_for(b"\n]", 300)
    assert b"status=0" in ended
    after, waiting = ended.split(b"status=0")[1].split(b"WAITING[")
    assert before in after.splitlines()
    assert waiting.strip(b"\r\n]") == b"", "nobody may type for the user"
    for undone in (b"\x1b[!p", b"\x1b[?1047l", b"\x1b[?1003l", b"\x1b[?2004l", b"\x1b(B"):
        assert undone in ended.partition(b"status=0")[0]
    assert typist.leave(b"") == 0
