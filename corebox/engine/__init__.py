"""Run a command in an image's root: Docker, Podman or bubblewrap, with the same sandbox.

No network, no capabilities, no new privileges, a read-only root, not root, bounded memory and processes. Everything is
bind-mounted; nothing is copied into an engine. Only this package imports the docker SDK.
"""

from corebox.engine.base import Engine
from corebox.engine.bubblewrap import Bubblewrap, find_bubblewrap
from corebox.engine.choose import NAMES, choose_engine, connect, find_daemon
from corebox.engine.sandbox import Finished, Limits, Mount, Sandbox

__all__ = [
    "NAMES",
    "Bubblewrap",
    "Engine",
    "Finished",
    "Limits",
    "Mount",
    "Sandbox",
    "choose_engine",
    "connect",
    "find_bubblewrap",
    "find_daemon",
]
