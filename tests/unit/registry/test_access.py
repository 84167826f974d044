"""Whom to trust, and what is this machine."""

from pathlib import Path

import pytest

from corebox.errors import InputError
from corebox.registry.access import api_host, is_loopback, trust


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1", "127.9.8.7:1", "[::1]:5000"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["registry.corp", "0.0.0.0:5000", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil"]
)
def test_other_machines(host: str) -> None:
    assert not is_loopback(host)


def test_docker_hub_is_elsewhere() -> None:
    assert api_host("docker.io") == "registry-1.docker.io"
    assert api_host("registry.corp:5000") == "registry.corp:5000"


def test_a_ca_file_without_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(InputError) as raised:
        trust("registry.corp", tmp_path / "ca.pem")
    assert raised.value.code == "bad-ca-file"
