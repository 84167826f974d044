"""Connections for HTTP, through the proxy that the environment names."""

import ipaddress
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import urllib3


def is_loopback(host: str) -> bool:
    """Whether ``host`` (with or without port) is this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def open_pool(scheme: str, host: str, **options: Any) -> urllib3.PoolManager:
    """Connections to ``host`` with urllib3's ``options``; threads may share them.

    Raises:
        urllib3.exceptions.ProxySchemeUnknown: the environment names a kind of proxy that we cannot use.
    """
    proxy = urllib.request.getproxies().get(scheme)
    if proxy and not is_loopback(host) and not urllib.request.proxy_bypass(host):
        address = proxy if "://" in proxy else f"http://{proxy}"  # as curl takes it
        return urllib3.ProxyManager(address, **options)
    return urllib3.PoolManager(**options)
