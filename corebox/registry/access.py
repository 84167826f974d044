"""How a registry is reached: TLS with whom to trust, proxies, and when plain http is allowed."""

import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from corebox import web
from corebox.errors import InputError
from corebox.registry.faults import unreachable
from corebox.web import PoolManager, ProxySchemeUnknown, Timeout

#: Seconds; a registry may think for a while when it has got a large blob.
_CONNECT, READ_TIMEOUT = 10.0, 120.0
#: Where Docker and Podman look for a company's CA: dockerd's and containers-certs.d(5).
_CERTS = ("/etc/docker/certs.d", "/etc/containers/certs.d")
_POOL = 16
#: Docker Hub's API lives elsewhere than its name says.
_ELSEWHERE = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}


class Access(NamedTuple):
    """What the user allows: one more CA to trust, and plain http to a host that is not this machine."""

    ca_file: Path | None = None
    plain_http: bool = False


def api_host(host: str) -> str:
    """Where the API of the registry is."""
    return _ELSEWHERE.get(host, host)


def may_lead(host: str, url: str, access: Access) -> bool:
    """Whether the registry ``host`` may send us to ``url``: to TLS; without, only this machine to this machine."""
    try:
        parts = urlsplit(url)
        local = web.is_loopback(host) and web.is_loopback(parts.netloc)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and (access.plain_http or local))


def trust(host: str, ca_file: Path | None) -> ssl.SSLContext:
    """The system's CAs (``SSL_CERT_FILE`` changes them, see openssl(1)), Docker's for this host, and ``ca_file``.

    Raises:
        InputError: ``bad-ca-file``.
    """
    context = ssl.create_default_context()
    given = [ca_file] if ca_file else []
    for path in [*given, *(path for folder in _CERTS for path in sorted(Path(folder, host).glob("*.crt")))]:
        _add(context, path)
    return context


def _add(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        message = f"cannot read the certificate {path}: {error}"
        raise InputError("bad-ca-file", message, "give a file in PEM form: -----BEGIN CERTIFICATE-----") from error


def open_pool(scheme: str, host: str, trusted: ssl.SSLContext, read_timeout: float = READ_TIMEOUT) -> PoolManager:
    """Connections to ``host``, through the proxy that the environment names.

    Raises:
        HostError: ``registry-unreachable`` if it names a kind of proxy that we cannot use.
    """
    options = {
        "timeout": Timeout(connect=_CONNECT, read=read_timeout),
        "maxsize": _POOL,
        "retries": False,
        "ssl_context": trusted,
    }
    try:
        return web.open_pool(scheme, host, **options)
    except ProxySchemeUnknown as error:
        raise unreachable(host, error) from error
