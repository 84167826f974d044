"""Which engine to use."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from corebox.engine.base import Engine
from corebox.engine.bubblewrap import find_bubblewrap
from corebox.errors import HostError

if TYPE_CHECKING:
    from corebox.engine.docker import DockerEngine

NAMES = ("auto", "docker", "podman", "bubblewrap")


def choose_engine(name: str) -> Engine:
    """The engine of that name; ``auto`` is Docker or Podman if one answers, else bubblewrap.

    Raises:
        HostError: ``no-engine``.
    """
    if name == "bubblewrap":
        return find_bubblewrap()
    if name == "auto":
        return find_daemon() or find_bubblewrap()
    return connect(name)


def connect(name: str) -> "DockerEngine":
    """The local ``docker`` or ``podman`` daemon.

    Raises:
        HostError: ``no-engine`` if none answers, ``remote-engine`` if it runs on another machine.
    """
    # The SDK takes longer to import than a small crash to open, and bubblewrap needs nothing of it.
    from corebox.engine.docker import DockerEngine  # noqa: PLC0415

    return DockerEngine.connect(name, _podman_address() if name == "podman" else None)


def find_daemon() -> "DockerEngine | None":
    """A local Docker or Podman daemon that answers, None if there is none."""
    return next(daemons(), None)


def daemons() -> "Iterator[DockerEngine]":
    """The local Docker and Podman daemons that answer."""
    for name in ("docker", "podman"):
        with contextlib.suppress(HostError):
            yield connect(name)


def _podman_sockets() -> Iterator[str]:
    if os.environ.get("CONTAINER_HOST", "").startswith("unix://"):
        yield os.environ["CONTAINER_HOST"].removeprefix("unix://")
    if "XDG_RUNTIME_DIR" in os.environ:
        yield os.environ["XDG_RUNTIME_DIR"] + "/podman/podman.sock"
    yield "/run/podman/podman.sock"


def _podman_address() -> str:
    sockets = list(_podman_sockets())
    return "unix://" + next((path for path in sockets if Path(path).exists()), sockets[-1])
