"""Where engines are looked for."""

import hashlib
import json
from pathlib import Path

import pytest

from corebox.engine.addresses import docker_addresses, podman_addresses, socket_path


@pytest.fixture(autouse=True)
def nothing_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment and a configuration that say nothing."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1234")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def test_the_machines_docker_then_the_users_own() -> None:
    assert docker_addresses() == ["unix:///var/run/docker.sock", "unix:///run/user/1234/docker.sock"]


def test_the_users_own_podman_then_the_machines() -> None:
    assert podman_addresses() == ["unix:///run/user/1234/podman/podman.sock", "unix:///run/podman/podman.sock"]


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "CONTAINER_HOST"])
def test_what_is_chosen_is_the_only_one(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "tcp://docker:2375")
    found = docker_addresses() if variable == "DOCKER_HOST" else podman_addresses()
    assert found == ["tcp://docker:2375"]
    assert socket_path(found[0]) is None


def test_the_context_in_use(nothing_chosen: Path) -> None:
    """As dockerd-rootless-setuptool.sh makes it."""
    (nothing_chosen / "config.json").write_text(json.dumps({"currentContext": "rootless"}))
    folder = nothing_chosen / "contexts/meta" / hashlib.sha256(b"rootless").hexdigest()
    folder.mkdir(parents=True)
    meta = {"Name": "rootless", "Endpoints": {"docker": {"Host": "unix:///run/user/77/docker.sock"}}}
    (folder / "meta.json").write_text(json.dumps(meta))
    assert docker_addresses() == ["unix:///run/user/77/docker.sock"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"currentContext": "gone"}', '{"currentContext": "default"}'])
def test_a_configuration_that_says_nothing_useful(nothing_chosen: Path, text: str) -> None:
    (nothing_chosen / "config.json").write_text(text)
    assert docker_addresses()[0] == "unix:///var/run/docker.sock"
