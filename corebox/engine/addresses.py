"""Where the daemons of container engines listen on this machine."""

import hashlib
import json
import os
from pathlib import Path

DOCKER_SOCKET = "/var/run/docker.sock"


def docker_addresses() -> list[str]:
    """Docker's, the one to be asked first before the others.

    What the user has chosen is the only one (DOCKER_HOST, or a context that is not the default one); else the
    machine's, and the user's own, where a rootless Docker listens.
    """
    chosen = os.environ.get("DOCKER_HOST") or _docker_context()
    return [chosen] if chosen else [f"unix://{DOCKER_SOCKET}", *_own("docker.sock")]


def podman_addresses() -> list[str]:
    """Podman's: the one in CONTAINER_HOST, else the user's own, then the machine's."""
    chosen = os.environ.get("CONTAINER_HOST")
    return [chosen] if chosen else [*_own("podman/podman.sock"), "unix:///run/podman/podman.sock"]


def socket_path(address: str) -> Path | None:
    """The socket's file, None for an address on another machine."""
    return Path(address.removeprefix("unix://")) if address.startswith("unix://") else None


def _own(name: str) -> list[str]:
    folder = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return [f"unix://{folder}/{name}"] if os.getuid() or "XDG_RUNTIME_DIR" in os.environ else []


def _docker_context() -> str | None:
    """The address of the context that ``docker context use`` has chosen, None for the default one."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        configuration = json.loads((folder / "config.json").read_bytes())
        name = os.environ.get("DOCKER_CONTEXT") or configuration.get("currentContext")
        if not name or name == "default":
            return None
        place = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
        return str(json.loads(place.read_bytes())["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
