"""Whom to trust, and what is this machine."""

from pathlib import Path

import pytest

from corebox.errors import HostError, InputError
from corebox.registry.access import api_host, open_pool, trust
from corebox.web import is_loopback


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


@pytest.mark.parametrize("proxy", ["proxy.corp:3128", "http://proxy.corp:3128", "http://user:secret@proxy.corp:3128"])
def test_a_proxy_with_or_without_its_scheme(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    used = open_pool("https", "registry.corp", trust("registry.corp", None)).proxy
    assert used is not None
    assert (used.scheme, used.host, used.port) == ("http", "proxy.corp", 3128)


def test_another_kind_of_proxy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://user:secret@proxy.corp")
    with pytest.raises(HostError) as raised:
        open_pool("https", "registry.corp", trust("registry.corp", None))
    assert raised.value.code == "registry-unreachable"
    assert "socks5" in raised.value.message
    assert "secret" not in raised.value.message
