"""Answers a registry's challenge: Basic, or a bearer token from the server that it names.

Sources: RFC 9110 section 11.6.1; the distribution project's ``spec/auth/token.md`` and ``oauth.md``.
"""

import json
import re
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import urllib3

from corebox.registry.credentials import Credentials
from corebox.registry.faults import Cut, failed, refused

_PARAMETER = re.compile(r'([a-z_]+)="([^"]*)"')
_CLIENT = "corebox"
_MOST = 1 << 20


def answer_challenge(
    pool: urllib3.PoolManager,
    host: str,
    challenge: str,
    scopes: Sequence[str],
    credentials: Credentials | None,
    *,
    plain_http: bool,
) -> str:
    """The ``Authorization`` header that satisfies ``challenge``.

    Raises:
        HostError: ``registry-refused``, ``registry-failed``.
        Cut: the token server is not there now.
    """
    kind, _, rest = challenge.partition(" ")
    if kind.lower() == "basic":
        if credentials is None or not credentials.user:
            raise refused(host, "in without a password", 401)
        return credentials.basic
    parameters = dict(_PARAMETER.findall(rest))
    realm = parameters.get("realm", "")
    if kind.lower() != "bearer" or urlsplit(realm).scheme not in ("https", "http" if plain_http else "https"):
        raise failed(host, "say how to log in", 401, f"({challenge:.200})")
    return "Bearer " + _fetch(pool, host, realm, parameters.get("service", ""), scopes, credentials)


def _fetch(
    pool: urllib3.PoolManager,
    host: str,
    realm: str,
    service: str,
    scopes: Sequence[str],
    credentials: Credentials | None,
) -> str:
    try:
        if credentials is not None and credentials.token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": credentials.token,
                "service": service,
                "client_id": _CLIENT,
                "scope": " ".join(scopes),
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = pool.request("POST", realm, body=urlencode(form), headers=headers, redirect=False)
        else:
            query = urlencode([("service", service), *(("scope", scope) for scope in scopes)])
            headers = {"Authorization": credentials.basic} if credentials else {}
            mark = "&" if "?" in realm else "?"
            answer = pool.request("GET", realm + mark + query, headers=headers, redirect=False)
    except urllib3.exceptions.HTTPError as error:
        raise Cut(f"the token server does not answer ({type(error).__name__})") from error
    if answer.status == 429 or answer.status >= 500:
        raise Cut(f"the token server says HTTP {answer.status}")
    if answer.status in (400, 401, 403):
        raise refused(host, "in", answer.status)
    try:
        value = json.loads(answer.data) if answer.status == 200 and len(answer.data) < _MOST else None
    except ValueError:
        value = None
    match value:
        case {"token": str(token)} | {"access_token": str(token)} if token:
            return token
    raise failed(host, "give a token", answer.status, "")
