"""HTTP: connections by urllib3, which only this module imports, through the proxy that the environment names."""

import ipaddress
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from urllib3 import PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError, ProxySchemeUnknown, SSLError
from urllib3.response import BaseHTTPResponse as Response

__all__ = [
    "HTTPError",
    "MaxRetryError",
    "PoolManager",
    "ProxySchemeUnknown",
    "Response",
    "Retry",
    "SSLError",
    "Timeout",
    "is_loopback",
    "open_pool",
]


def is_loopback(host: str) -> bool:
    """Whether ``host`` (with or without port) is this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def open_pool(scheme: str, host: str, **options: Any) -> PoolManager:
    """Connections to ``host`` with urllib3's ``options``; threads may share them.

    Raises:
        ProxySchemeUnknown: the environment names a kind of proxy that we cannot use.
    """
    proxy = urllib.request.getproxies().get(scheme)
    if proxy and not is_loopback(host) and not urllib.request.proxy_bypass(host):
        address = proxy if "://" in proxy else f"http://{proxy}"  # as curl takes it
        return ProxyManager(address, **options)
    return PoolManager(**options)
