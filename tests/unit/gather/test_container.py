"""The root of a container, as an engine's client on the machine tells where it is."""

import os
import tarfile
from pathlib import Path

import pytest

from corebox.errors import HostError, InputError
from corebox.gather.container import container_root


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}")
    return folder


def engine(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_an_engine_another_way_is_shown(engines: Path, tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught, container_root("web", str(tmp_path)):
        pass
    assert caught.value.code == "no-container-engine"
    assert "--root /proc/PID/root" in caught.value.hint


def test_a_running_container_is_that_of_its_process(engines: Path, tmp_path: Path) -> None:
    engine(engines, "docker", f'[ "$*" = "container inspect --format {{{{.State.Pid}}}} web" ] && echo {os.getpid()}')
    with container_root("web", str(tmp_path)) as root:
        assert root == f"/proc/{os.getpid()}/root"


def test_the_other_engine_is_asked_as_well(engines: Path, tmp_path: Path) -> None:
    engine(engines, "docker", "echo 'no such container: web' >&2; exit 1")
    engine(engines, "podman", f"echo {os.getpid()}")
    with container_root("web", str(tmp_path)) as root:
        assert root == f"/proc/{os.getpid()}/root"


def test_what_no_engine_knows_is_named_with_what_each_says(engines: Path, tmp_path: Path) -> None:
    engine(engines, "docker", "echo a warning >&2; echo 'no such object: web' >&2; exit 1")
    engine(engines, "podman", "exit 125")
    with pytest.raises(InputError) as caught, container_root("web", str(tmp_path)):
        pass
    assert caught.value.code == "no-such-container"
    assert "known to docker or podman: no such object: web; " in caught.value.message
    assert "docker ps --all" in caught.value.hint


def test_a_container_that_has_stopped_is_exported(engines: Path, tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("ID=acme\n")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "os-release", "etc/os-release")
    engine(engines, "docker", f"case $1 in export) exec /bin/cat {tmp_path}/x.tar ;; *) echo 0 ;; esac")
    with container_root("web", str(tmp_path)) as root:
        assert (Path(root) / "etc/os-release").read_text() == "ID=acme\n"
    assert not Path(root).exists()
