"""Where credentials are found."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from corebox.errors import HostError
from corebox.registry.credentials import Credentials, find_credentials
from corebox.registry.reference import parse_reference
from tests.support.registry import write_helper

IMAGE = parse_reference("registry.corp/team/crash:1")


def _auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def home(tmp_path: Path) -> Mapping[str, str]:
    """An environment in which nobody ever logged in."""
    return {"HOME": str(tmp_path)}


def _docker(home: Mapping[str, str], config: object) -> None:
    folder = Path(home["HOME"]) / ".docker"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))


def test_nobody_logged_in(home: Mapping[str, str]) -> None:
    assert find_credentials(IMAGE, home) is None


@pytest.mark.parametrize("name", ["registry.corp", "https://registry.corp", "https://registry.corp/v1/"])
def test_docker_login(home: Mapping[str, str], name: str) -> None:
    _docker(home, {"auths": {name: _auth("me", "pass:word")}})
    assert find_credentials(IMAGE, home) == Credentials("me", "pass:word")


def test_an_identity_token(home: Mapping[str, str]) -> None:
    _docker(home, {"auths": {"registry.corp": {"identitytoken": "t0ken"}}})
    assert find_credentials(IMAGE, home) == Credentials(token="t0ken")


def test_another_registry_gets_nothing(home: Mapping[str, str]) -> None:
    _docker(home, {"auths": {"registry.corp.evil.example": _auth("me", "secret"), "corp": _auth("me", "secret")}})
    assert find_credentials(IMAGE, home) is None


def test_docker_hub_has_a_name_of_its_own(home: Mapping[str, str]) -> None:
    _docker(home, {"auths": {"https://index.docker.io/v1/": _auth("me", "secret")}})
    assert find_credentials(parse_reference("docker.io/acme/crash"), home) == Credentials("me", "secret")


def test_podman_login_and_its_namespaces(home: Mapping[str, str]) -> None:
    folder = Path(home["HOME"]) / ".config" / "containers"
    folder.mkdir(parents=True)
    auths = {"registry.corp": _auth("all", "1"), "registry.corp/team": _auth("team", "2")}
    (folder / "auth.json").write_text(json.dumps({"auths": auths}))
    assert find_credentials(IMAGE, home) == Credentials("team", "2")
    assert find_credentials(parse_reference("registry.corp/other/crash"), home) == Credentials("all", "1")


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        "[" * 10000,
        {"auths": {"registry.corp": {"auth": "!"}}},
        {"auths": {"registry.corp": {"auth": "bWU="}}},
    ],
    ids=["no JSON", "no object", "deep", "no base64", "no password"],
)
def test_a_damaged_file_is_told(home: Mapping[str, str], config: object) -> None:
    _docker(home, config)
    with pytest.raises(HostError) as raised:
        find_credentials(IMAGE, home)
    assert raised.value.code == "credentials-unreadable"


def test_a_helper_may_not_be_a_path(home: Mapping[str, str]) -> None:
    _docker(home, {"credHelpers": {"registry.corp": "/../../bin/sh"}})
    with pytest.raises(HostError):
        find_credentials(IMAGE, home)


@pytest.mark.parametrize(
    "script",
    [
        "cat /dev/zero",
        "cat /dev/zero >&2",
        "sleep 60",
        "exit 1",
        "printf '\\377'",
        "head -c 9999 /dev/zero | tr '\\0' [",
    ],
)
def test_a_helper_that_does_not_behave(home: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr("corebox.registry.credentials._HELPER_TIMEOUT", 0.5)
    monkeypatch.setenv("PATH", write_helper(Path(home["HOME"], "bin"), script))
    _docker(home, {"credHelpers": {"registry.corp": "lab"}})
    with pytest.raises(HostError, match="docker-credential-lab") as raised:
        find_credentials(IMAGE, home)
    assert raised.value.code == "credentials-unreadable"


def test_half_a_surrogate_pair_is_some_password(home: Mapping[str, str]) -> None:
    _docker(home, {"auths": {"registry.corp": {"username": "me", "password": "\ud800"}}})
    found = find_credentials(IMAGE, home)
    assert found is not None
    assert found.basic == "Basic bWU6Pw=="


def test_secrets_are_not_printed() -> None:
    assert "secret" not in repr(Credentials("me", "secret", "secret"))
    assert Credentials("me", "secret").basic == "Basic bWU6c2VjcmV0"
