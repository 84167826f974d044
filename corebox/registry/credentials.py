"""Finds the user's credentials where ``docker login`` and ``podman login`` leave them; they are never kept.

Formats: docker/cli ``config.json`` and docker-credential-helpers; containers-auth.json(5).
"""

import base64
import contextlib
import json
import os
import select
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired

from corebox.errors import HostError
from corebox.registry.reference import Reference
from corebox.store.values import MAX_JSON

_HELPER_TIMEOUT = 30.0
_MAX_ANSWER = 1 << 16  # bytes; it is held in memory
#: What a helper says if it has nothing for a server (docker-credential-helpers, credentials/error.go).
_NOT_FOUND = "credentials not found"
_HUB = "https://index.docker.io/v1/"
#: The user name that marks a secret as an identity token (docker/cli, "<token>").
_IDENTITY = "<token>"


@dataclass(frozen=True)
class Credentials:
    """A user and a password, or an identity token (OAuth2 refresh token) in ``token``."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an ``Authorization`` header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode(errors="replace")).decode("ascii")


def find_credentials(reference: Reference, environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """The credentials for the registry of ``reference``; None if the user never logged in there.

    Raises:
        HostError: ``credentials-unreadable``.
    """
    for path in _files(environment):
        found = _in_file(path, reference)
        if found is not None:
            return found
    return None


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Podman's places (an explicit one first), then Docker's."""
    home = Path(environment.get("HOME", "/"))
    if "REGISTRY_AUTH_FILE" in environment:
        yield Path(environment["REGISTRY_AUTH_FILE"])
    yield Path(environment.get("DOCKER_CONFIG", home / ".docker")) / "config.json"
    if "XDG_RUNTIME_DIR" in environment:
        yield Path(environment["XDG_RUNTIME_DIR"]) / "containers/auth.json"
    yield Path(environment.get("XDG_CONFIG_HOME", home / ".config")) / "containers/auth.json"


def _in_file(path: Path, reference: Reference) -> Credentials | None:
    try:
        with path.open("rb") as file:
            config = json.loads(file.read(MAX_JSON))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(f"cannot read {path}: {error}") from error
    if not isinstance(config, dict):
        raise _unreadable(f"{path} is not an object")
    helpers = config.get("credHelpers") or {}
    helper = helpers.get(reference.host) if isinstance(helpers, dict) else None
    if isinstance(helper or config.get("credsStore"), str):
        found = _ask_helper(helper or config["credsStore"], _server(reference))
        if found is not None or helper:
            return found
    return _in_auths(config.get("auths") or {}, reference, path)


def _server(reference: Reference) -> str:
    return _HUB if reference.host in ("docker.io", "index.docker.io") else reference.host


def _names(reference: Reference) -> Iterator[str]:
    """How the entry may be called, the most special first: Podman allows namespaces."""
    parts = f"{reference.host}/{reference.repository}".split("/")
    for count in range(len(parts), 0, -1):
        yield "/".join(parts[:count])
    yield from (_server(reference), f"https://{reference.host}", f"https://{reference.host}/v1/")
    yield from (f"http://{reference.host}", f"https://{reference.host}/v2/")


def _in_auths(auths: object, reference: Reference, path: Path) -> Credentials | None:
    for name in _names(reference):
        match auths.get(name) if isinstance(auths, dict) else None:
            case {"identitytoken": str(token)} if token:
                return Credentials(token=token)
            case {"auth": str(encoded)} if encoded:
                return _decode(encoded, path)
            case {"username": str(user), "password": str(password)}:
                return Credentials(user, password)
    return None


def _decode(encoded: str, path: Path) -> Credentials:
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError as error:
        raise _unreadable(f"{path} has an entry that is not base64") from error
    if not colon:
        raise _unreadable(f"{path} has an entry without a password")
    return Credentials(user, password.rstrip("\0"))


def _ask_helper(name: str, server: str) -> Credentials | None:
    """Ask ``docker-credential-NAME get``; the server goes to its input, the answer is JSON."""
    program = f"docker-credential-{name}"
    if "/" in name:
        raise _unreadable(f"{program} is not the name of a credential helper")
    try:
        status, answer, complaint = _run(program, server)
        if status:
            said = (answer or complaint).strip()
            if _NOT_FOUND in said:
                return None
            # A message, by its protocol; but one that fails after its answer must not put that on the screen.
            shown = f": {said:.200}" if "Secret" not in said else ""
            raise _unreadable(f"{program} failed{shown}")
        match json.loads(answer):
            case {"Username": str(user), "Secret": str(secret)}:
                return Credentials(token=secret) if user == _IDENTITY else Credentials(user, secret)
    except (OSError, ValueError, RecursionError, TimeoutExpired) as error:
        raise _unreadable(f"{program}: {type(error).__name__}") from error
    raise _unreadable(f"{program} returned no credentials")


def _run(program: str, server: str) -> tuple[int, str, str]:
    """The helper's exit status and what it prints on each stream; a ValueError if that is more than an answer."""
    deadline = time.monotonic() + _HELPER_TIMEOUT
    with Popen([program, "get"], stdin=PIPE, stdout=PIPE, stderr=PIPE) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        try:
            with contextlib.suppress(BrokenPipeError), child.stdin as question:
                question.write(server.encode())
            streams = {child.stdout.fileno(): b"", child.stderr.fileno(): b""}
            _read_all(streams, deadline)
            status = child.wait(max(0, deadline - time.monotonic()))
        finally:
            child.kill()
        answer, complaint = (said.decode() for said in streams.values())
        return status, answer, complaint


def _read_all(streams: dict[int, bytes], deadline: float) -> None:
    """Read the descriptors to their ends; a TimeoutError at the deadline, a ValueError for too much."""
    waiting = set(streams)
    while waiting:
        ready, _, _ = select.select(waiting, [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        for each in ready:
            data = os.read(each, _MAX_ANSWER)
            streams[each] += data
            if not data:
                waiting.remove(each)
            if len(streams[each]) > _MAX_ANSWER:
                raise ValueError


def _unreadable(message: str) -> HostError:
    return HostError("credentials-unreadable", message, "log in again: docker login HOST, or podman login HOST")
