"""Where ``corebox dap`` listens, and what an editor is told about it."""

import json
from pathlib import Path

import pytest

from corebox.actions.dap import parse_address
from corebox.actions.ide import configuration
from corebox.errors import UsageError


def test_addresses() -> None:
    assert parse_address("4711", anywhere=False) == ("127.0.0.1", 4711)
    assert parse_address("localhost:0", anywhere=False) == ("localhost", 0)
    assert parse_address("[::1]:4711", anywhere=False) == ("::1", 4711)
    assert parse_address("0.0.0.0:4711", anywhere=True) == ("0.0.0.0", 4711)


@pytest.mark.parametrize("text", ["", "x", "127.0.0.1", "1:65536", "1:-1", "0.0.0.0:4711", "192.0.2.1:4711", "[::]:1"])
def test_no_other_machine_unless_that_is_wanted(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text, anywhere=False)
    assert caught.value.code == "bad-address"


def test_the_editor_starts_the_adapter_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crash.corebox").touch()
    monkeypatch.chdir(tmp_path)
    (found,) = json.loads(configuration("vscode", "crash.corebox", ("--engine", "docker")))["configurations"]
    words = found["debugAdapterArgs"]
    assert Path(found["debugAdapterExecutable"]).is_absolute()
    assert words[-4:] == ["dap", str(tmp_path / "crash.corebox"), "--engine", "docker"]
    assert (found["type"], found["request"]) == ("lldb-dap", "attach")


def test_the_name_of_an_image_stays_as_it_is() -> None:
    (found,) = json.loads(configuration("zed", "registry.example.com/team/crash:1"))
    assert found["gdb_args"][-3:] == ["dap", "registry.example.com/team/crash:1", "-i=dap"]
    assert (found["adapter"], found["request"]) == ("GDB", "launch")
