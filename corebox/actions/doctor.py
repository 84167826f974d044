"""What this machine can do, and the command that mends what it cannot."""

import ctypes.util
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from corebox.engine.bubblewrap import find_bubblewrap
from corebox.engine.choose import DAEMONS, choose_engine, connect, try_daemon
from corebox.errors import CoreboxError
from corebox.image.toolbox import ensure_toolbox
from corebox.store.store import Store

_FUSE = "apt-get install fuse3; in a container: --device /dev/fuse --cap-add SYS_ADMIN"
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

    def to_json(self) -> dict[str, object]:
        """The document of ``doctor --json``."""
        return {"version": 1, "ok": self.ok, "findings": [each._asdict() for each in self.findings]}


def doctor() -> Diagnosis:
    """Look at everything that the main job needs; each engine is tried, whatever is remembered of it."""
    found = _check("store", lambda: str(Store.default().home))
    store = Store.default() if found.ok else None
    engines = [_check("bubblewrap", _bubblewrap), *(_check(name, partial(_daemon, name, store)) for name in DAEMONS)]
    chosen = next((name for name in (*DAEMONS, "bubblewrap") if _is_ok(engines, name)), None)
    auto = [Finding("auto", True, f"--engine auto takes {chosen}")] if chosen else []
    kept = [found, *(_in_store(store) if store else ())]
    enough = chosen is not None and all(each.ok for each in kept if each.what != "space")
    served = [_on_demand(store, chosen)] if store and chosen else []
    return Diagnosis((*engines, *auto, *kept, *served, _zstd()), enough)


def _is_ok(findings: Iterable[Finding], what: str) -> bool:
    return any(each.what == what and each.ok for each in findings)


def _bubblewrap() -> str:
    """What bubblewrap can do here, in words."""
    engine = find_bubblewrap()
    limits = [] if engine.has_proc else ["its /proc is empty, as this container requires"]
    if engine.bounds_memory:
        limits.append("a control group limits the memory of a session")
    else:
        limits.append(
            "no control group can be created here: the memory of gdb is limited, but not what the kernel uses for it"
        )
    return f"works; {'; '.join(limits)}"


def _daemon(name: str, store: Store | None) -> str:
    """What the engine can do here, in words, after a tiny run."""
    engine = try_daemon(name, store) if store else connect(name)
    traits = engine.traits
    kinds = {"rootless": traits.rootless, "users remapped": traits.remapped, "SELinux": traits.selinux}
    kind = "".join(f", {word}" for word, true in kinds.items() if true)
    memory = "" if engine.bounds_memory else "; gdb's data is limited, but not what the kernel uses for it (cgroup v1?)"
    return f"works{kind}, at {engine.address}{memory}"


def _in_store(store: Store) -> Iterator[Finding]:
    """What can be looked at only if there is a store."""
    yield _check("toolbox", lambda: ensure_toolbox(store).summary)
    yield _space(store)


def _check(what: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, attempt())
    except CoreboxError as error:
        return Finding(what, False, error.message, error.hint)


def _on_demand(store: Store, engine: str) -> Finding:
    """Whether cores can be read where they lie, with the engine that is used."""
    from corebox.actions.served import try_serving  # noqa: PLC0415  # slow to import, as all that serves
    from corebox.ondemand.mount import Unservable  # noqa: PLC0415

    try:
        try_serving(store, choose_engine(engine, store))
    except Unservable as why:
        return Finding("on-demand", False, f"{why}: cores are fetched whole", _FUSE)
    except CoreboxError as error:
        return Finding("on-demand", False, error.message, error.hint)
    return Finding("on-demand", True, f"cores can be read where they lie (FUSE), by {engine} too")


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
