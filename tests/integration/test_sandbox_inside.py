"""What a hostile customer's script reaches from inside the sandbox: nothing."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.gather.cli import main
from tests.support.crashes import build_program
from tests.support.lab import Lab
from tests.support.programs import FOLDER


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A bundle with a script that gdb loads by itself, and the text that it must not get to read."""
    folder = tmp_path_factory.mktemp("hostile")
    secret = folder / "secret"
    secret.write_text("the vendor's own")
    program = build_program(folder / "app")
    core = program.crash()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"\0corebox-test-{os.getpid()}")
        local.listen()
        known = f"PORT = {listener.getsockname()[1]}\nSOCKET = {local.getsockname()!r}\nSECRET = {str(secret)!r}\n"
        script = Path(f"{program.library}-gdb.py")
        script.write_text(known + (FOLDER / "hostile.py").read_text())
        assert main([str(core), "-o", str(folder / "x.corebox"), "--no-nice"]) == 0
        yield folder / "x.corebox", secret.read_text()


def test_nothing_is_reached(hostile: tuple[Path, str], engine: str, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, secret = hostile
    monkeypatch.setenv("COREBOX_TEST_SECRET", secret)
    shown = lab.gdb(bundle, engine, "echo alive\\n").output
    assert "tried everything" in shown
    assert "REACHED" not in shown
    assert secret not in shown
    assert shown.count("refused ") >= 24
    assert shown.rstrip().endswith("alive")  # the session goes on
    assert lab.corebox("verify", bundle).status == 0


def test_no_customer_code_loads_none(hostile: tuple[Path, str], engine: str, lab: Lab) -> None:
    bundle, _ = hostile
    shown = lab.gdb(bundle, engine, "backtrace", options=["--no-customer-code"])
    assert "refused" not in shown.output
    assert "libthread_db" not in shown.output
    assert "fail ()" in shown.output
