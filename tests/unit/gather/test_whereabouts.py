"""Who gives no core is told where the cores of this machine go."""

import os
from pathlib import Path

import pytest

from corebox.errors import InputError
from corebox.gather import whereabouts
from corebox.gather.cli import main
from corebox.gather.systemd import StoredCrash
from corebox.gather.whereabouts import Site, describe


def told(pattern: str, uses_pid: bool = False, limit: int = -1) -> str:
    return "\n".join(describe(Site(pattern, uses_pid, limit)))


def test_who_gives_no_core_is_told_where_they_go(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    first, *advice, last = capsys.readouterr().err.splitlines()
    assert first == "error: no core given"
    assert last == "hint: give the core file, --coredumpctl or --pid"
    assert any("core" in line for line in advice)


@pytest.fixture
def cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with five cores and something else, which is the working directory."""
    for number in range(5):
        path = tmp_path / f"core.{number}"
        path.touch()
        os.utime(path, (number, number))
    (tmp_path / "core.d").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plain_patterns(cores: Path) -> None:
    text = told("core", uses_pid=True)
    assert "cores go to the crashed program's working directory, as core.PID\nthe newest:\n" in text
    assert [line[-6:] for line in text.splitlines()[2:]] == ["core.4", "core.3", "core.2"]
    assert f"cores go to {cores}/core.PID" in told(f"{cores}/core.%p")
    assert f"{cores}/core.4" in told(f"{cores}/core.%p")
    assert "there is none there" in told(f"{cores}/none/%e.%p")
    assert "there is none in this directory" in told("%e.dump")


def test_a_limit_of_the_shell_is_told() -> None:
    assert "ulimit -c unlimited" in told("core", limit=0)
    assert "LimitCORE=infinity" in told("core", limit=0)
    assert "ulimit" not in told("core", limit=1 << 20)
    assert "ulimit" not in told("|/lib/systemd/systemd-coredump %P", limit=0)


def test_what_programs_keep(cores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = StoredCrash("/x", "nginx", 0, 4711, 1700000000000000, "/usr/sbin/nginx")
    monkeypatch.setattr(whereabouts, "read_store", lambda _: [crash] * 5)
    text = told("|/usr/lib/systemd/systemd-coredump %P %u %g %s %t 9223372036854775808 %h")
    assert "systemd, which keeps them in /var/lib/systemd/coredump" in text
    assert text.count("--coredumpctl 4711") == 3
    assert text.endswith("/usr/sbin/nginx")

    def refuse(directory: str) -> list[StoredCrash]:
        raise InputError("no-coredump-store", "cannot read " + directory, "hint")

    monkeypatch.setattr(whereabouts, "read_store", refuse)
    assert "cannot read /var/lib/systemd/coredump; run it as root to see the rest" in told("|/x/systemd-coredump %P")
    assert "/var/lib/apport/coredump" in told("|/usr/share/apport/apport -p%p")
    assert "abrt" in told("|/usr/libexec/abrt-hook-ccpp %s")
    assert "the program /opt/own; its documentation" in told("|/opt/own %p")
    (cores / "app-1-2.corebox").touch()
    assert f"{cores}/app-1-2.corebox" in told(f"|{cores}/corebox-handler %P %t %u %E")
    assert "writes no cores" in told("")
