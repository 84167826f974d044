"""What this machine can do, and the command that mends what it cannot."""

import ctypes.util
import shutil
from collections.abc import Callable, Iterator
from typing import NamedTuple

from corebox.engine.bubblewrap import find_bubblewrap
from corebox.engine.choose import connect
from corebox.errors import CoreboxError
from corebox.image.toolbox import ensure_toolbox
from corebox.store.store import Store

ENOUGH_SPACE = 2 << 30  # bytes: a toolbox, some libraries and a middling core


class Finding(NamedTuple):
    """One thing that was looked at; ``remedy`` is a command, empty if all is well."""

    what: str
    ok: bool
    detail: str
    remedy: str = ""


class Diagnosis(NamedTuple):
    """All findings; ``ok`` if the main job can be done: a store, a toolbox and one engine."""

    findings: tuple[Finding, ...]
    ok: bool


def doctor() -> Diagnosis:
    """Look at everything that the main job needs."""
    engines = [
        _check("bubblewrap", lambda: find_bubblewrap().name),
        _check("docker", lambda: connect("docker").name),
    ]
    kept = list(_store())
    enough = any(engine.ok for engine in engines) and all(each.ok for each in kept if each.what != "space")
    return Diagnosis((*engines, *kept, _zstd()), enough)


def _store() -> Iterator[Finding]:
    """The store, and what can be looked at only if there is one."""
    found = _check("store", lambda: str(Store.default().home))
    yield found
    if found.ok:
        store = Store.default()
        yield _check("toolbox", lambda: ensure_toolbox(store).summary)
        yield _space(store)


def _check(what: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, attempt())
    except CoreboxError as error:
        return Finding(what, False, error.message, error.hint)


def _zstd() -> Finding:
    if ctypes.util.find_library("zstd"):
        return Finding("libzstd", True, "reads and writes zstd bundles")
    return Finding("libzstd", False, "zstd bundles cannot be read", "apt-get install libzstd1")


def _space(store: Store) -> Finding:
    free = shutil.disk_usage(store.home).free
    detail = f"{free / 1e9:.1f} GB free in {store.home}"
    if free >= ENOUGH_SPACE:
        return Finding("space", True, detail)
    return Finding("space", False, detail, "corebox rm IMAGE, or export COREBOX_HOME=/where/there/is/room")
