"""Answers a registry's challenge: Basic, or a bearer token from the server that it names.

Sources: RFC 9110 section 11.6.1; the distribution project's ``spec/auth/token.md`` and ``oauth.md``.
"""

import re
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlencode

from corebox.registry.access import Access, may_lead
from corebox.registry.answers import read_body, read_json
from corebox.registry.credentials import Credentials
from corebox.registry.faults import TransientError, failed, refused
from corebox.web import HTTPError, PoolManager

_PARAMETER = re.compile(r'([a-z_]+)="([^"]*)"')
#: What a header can hold (RFC 9110 section 5.5): nothing that would begin another one.
_TOKEN = re.compile("[!-~]+")
_CLIENT = "corebox"
_MAX_COUNT = 1 << 20


def answer_challenge(
    pool: PoolManager,
    host: str,
    challenge: str,
    scopes: Sequence[str],
    credentials: Credentials | None,
    access: Access,
) -> str:
    """The ``Authorization`` header that satisfies ``challenge``, which must be the registry's own.

    Raises:
        HostError: ``registry-refused``, ``registry-failed``.
        TransientError: the token server is not there now.
    """
    kind, _, rest = challenge.partition(" ")
    if kind.lower() == "basic":
        if credentials is None or not credentials.user:
            raise refused(host, "log in without a password", 401)
        return credentials.basic
    parameters = dict(_PARAMETER.findall(rest))
    realm = parameters.get("realm", "")
    if kind.lower() != "bearer" or not may_lead(host, realm, access):
        raise failed(host, "say how to log in", 401, f"({challenge:.200})")
    return "Bearer " + _fetch(pool, host, realm, parameters.get("service", ""), scopes, credentials)


def _fetch(
    pool: PoolManager,
    host: str,
    realm: str,
    service: str,
    scopes: Sequence[str],
    credentials: Credentials | None,
) -> str:
    ask = partial(pool.request, redirect=False, preload_content=False, decode_content=False)
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
            answer = ask("POST", realm, body=urlencode(form, errors="replace"), headers=headers)
        else:
            query = urlencode([("service", service), *(("scope", scope) for scope in scopes)])
            headers = {"Authorization": credentials.basic} if credentials else {}
            mark = "&" if "?" in realm else "?"
            answer = ask("GET", realm + mark + query, headers=headers)
    except HTTPError as error:
        raise TransientError(f"the token server does not answer ({type(error).__name__})") from error
    data = read_body(answer, _MAX_COUNT)
    if answer.status == 429 or answer.status >= 500:
        raise TransientError(f"the token server answered HTTP {answer.status}")
    if answer.status in (400, 401, 403):
        raise refused(host, "log in", answer.status)
    match read_json(data) if answer.status == 200 else None:
        case {"token": str(token)} | {"access_token": str(token)} if _TOKEN.fullmatch(token):
            return token
    raise failed(host, "issue a token", answer.status, "")
