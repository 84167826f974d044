"""The toolbox: the layer with gdb and all that it needs to run in a root where nothing else need be there."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from corebox import __version__
from corebox.image.layers import TOOLBOX
from corebox.image.tar import Entry, complete, write_tar
from corebox.image.toolboxparts import Debugger, find_debugger, find_gdb, gather_entries
from corebox.resources import shipped
from corebox.store import Layer, Store
from corebox.store.values import is_digest

_RECORD = "toolbox"


@dataclass(frozen=True)
class Toolbox:
    """A toolbox in the store, and the versions that are in it by name (gdb, python, corebox)."""

    layer: Layer
    versions: Mapping[str, str]

    @property
    def summary(self) -> str:
        """The versions in one line."""
        return ", ".join(f"{name} {version}" for name, version in sorted(self.versions.items()))


def ensure_toolbox(store: Store, gdb: Path | None = None) -> Toolbox:
    """The toolbox of this corebox, gdb and Python; made if the store does not have it.

    Args:
        store: where its layer is, or goes.
        gdb: a gdb of this machine to make it from, instead of the one that corebox depends on.

    Raises:
        HostError: ``no-libpython``, ``no-gdb`` or ``gdb-unusable``.
    """
    debugger = find_gdb(gdb) if gdb else find_debugger()
    key = _key(debugger)
    known = _recall(store, key)
    if known is not None:
        return known
    with store.adding(), store.workplace() as work:
        entries = complete(gather_entries(debugger, shipped("images/toolbox"), work))
        return _write(store, key, debugger, entries)


def _key(debugger: Debugger) -> str:
    """What the toolbox is made from. Its big files are known by size and time: hashing them would cost a gdb start."""
    big = [(str(path), status.st_size, status.st_mtime_ns) for path in debugger.big_files() for status in [path.stat()]]
    ours = shipped("images/toolbox")
    small = [
        (str(path.relative_to(ours)), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(ours.rglob("*"))
        if path.is_file() and path.parent.name != "__pycache__"
    ]
    return json.dumps([__version__, debugger.gdb_version, debugger.python_version, big, small])


def _recall(store: Store, key: str) -> Toolbox | None:
    match store.recall(_RECORD, key):
        case {"digest": str(digest), "size": int(size), "versions": dict(versions)} if is_digest(digest):
            known = Toolbox(Layer(digest, size, TOOLBOX, digest), {str(k): str(v) for k, v in versions.items()})
            return known if store.has(digest) else None
    return None


def _write(store: Store, key: str, debugger: Debugger, entries: list[Entry]) -> Toolbox:
    with store.writer() as writer:
        write_tar(entries, writer)
        blob = writer.commit()
    versions = {"corebox": __version__, "gdb": debugger.gdb_version, "python": debugger.python_version}
    store.remember(_RECORD, key, {"digest": blob.digest, "size": blob.size, "versions": versions})
    return Toolbox(Layer(blob.digest, blob.size, TOOLBOX, blob.digest), versions)
