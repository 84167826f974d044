"""Which engine to use."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from corebox.engine import addresses
from corebox.engine.base import Engine
from corebox.engine.bubblewrap import find_bubblewrap
from corebox.engine.trial import try_engine
from corebox.errors import HostError
from corebox.store.store import Store

if TYPE_CHECKING:
    from corebox.engine.docker import DockerEngine

NAMES = ("auto", "docker", "podman", "bubblewrap")
DAEMONS = ("docker", "podman")
_TRIALS = "engine-trial"
_DOUBT = 3600.0  # seconds that an engine that failed is not tried again: its disk may have been full


def choose_engine(name: str, store: Store | None = None, tell: Callable[[str], None] = lambda _: None) -> Engine:
    """The engine of that name; ``auto`` is Docker or Podman if one works, else bubblewrap.

    An engine with a daemon is tried with a tiny run once, and ``store`` remembers the answer until the daemon is
    started again. ``tell`` is told why an engine that answers is not used.

    Raises:
        HostError: ``no-engine``, ``remote-engine``, ``engine-unusable``.
    """
    if name == "bubblewrap":
        return find_bubblewrap()
    if name != "auto":
        return _tried(name, store) if store else connect(name)
    refusals: list[HostError] = []
    for each in DAEMONS:
        found = _found(each, store)
        if not isinstance(found, HostError):
            return found
        refusals += [found] if found.code != "no-engine" else []
    try:
        engine = find_bubblewrap()
    except HostError as error:
        if not refusals:
            raise
        why = "; ".join(each.message for each in [*refusals, error])
        raise HostError("no-engine", why, f"{error.hint}; or {refusals[0].hint}") from error
    for refusal in refusals:
        tell(f"{refusal.message}; bubblewrap is used instead")
    return engine


def _found(name: str, store: Store | None) -> "DockerEngine | HostError":
    try:
        return _tried(name, store) if store else connect(name)
    except HostError as error:
        return error


def connect(name: str) -> "DockerEngine":
    """The local ``docker`` or ``podman`` daemon.

    Raises:
        HostError: ``no-engine`` if none answers, ``remote-engine`` if it runs on another machine.
    """
    # The SDK takes longer to import than a small crash to open, and bubblewrap needs nothing of it.
    from corebox.engine.docker import DockerEngine  # noqa: PLC0415

    known = addresses.podman_addresses() if name == "podman" else addresses.docker_addresses()
    *others, last = [address for address in known if _is_there(address)] or known[:1]
    for address in others:
        with contextlib.suppress(HostError):
            return DockerEngine.connect(name, address)
    return DockerEngine.connect(name, last)


def find_daemon() -> "DockerEngine | None":
    """A local Docker or Podman daemon that answers, None if there is none."""
    return next(daemons(), None)


def daemons() -> "Iterator[DockerEngine]":
    """The local Docker and Podman daemons that answer."""
    for name in DAEMONS:
        with contextlib.suppress(HostError):
            yield connect(name)


def try_daemon(name: str, store: Store) -> "DockerEngine":
    """The daemon of that name, tried now, whatever is remembered.

    Raises:
        HostError: those of ``connect``, and ``engine-unusable``.
    """
    engine = connect(name)
    said: dict[str, object] = {"daemon": daemon_identity(engine.address)}
    try:
        with store.workplace() as work:
            try_engine(engine, work)
    except HostError as error:
        said |= {"message": error.message, "hint": error.hint, "until": time.time() + _DOUBT}
        store.remember(_TRIALS, engine.address, said)
        raise
    store.remember(_TRIALS, engine.address, said)
    return engine


def _tried(name: str, store: Store) -> "DockerEngine":
    """The daemon of that name if it works, as is remembered."""
    engine = connect(name)
    known = store.recall(_TRIALS, engine.address)
    if known is None or known.get("daemon") != daemon_identity(engine.address):
        return try_daemon(name, store)
    if "message" not in known:
        return engine
    if float(str(known["until"])) > time.time():
        raise HostError("engine-unusable", str(known["message"]), str(known["hint"]))
    return try_daemon(name, store)


def daemon_identity(address: str) -> str:
    """The same as long as the daemon is: its socket is made again when it starts, and so is all in /run at boot."""
    path = addresses.socket_path(address)
    try:
        status = path.stat() if path else None
    except OSError:
        status = None
    made = f"{status.st_dev} {status.st_ino} {status.st_mtime_ns}" if status else ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return hashlib.sha256(f"{address} {made} {boot}".encode()).hexdigest()


def _is_there(address: str) -> bool:
    path = addresses.socket_path(address)
    return path is None or path.exists()
