"""A core as a file that gdb can open in its engine, while it is read where it lies."""

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from corebox.engine.base import Engine
from corebox.engine.choose import daemon_identity
from corebox.engine.trial import smallest_program, try_engine
from corebox.errors import HostError
from corebox.files.extents import Extent
from corebox.image.corelayer import CoreInImage
from corebox.ondemand.mount import Serving, Unservable, remove_dead_mounts, served, why_no_fuse
from corebox.ondemand.request import Request
from corebox.store.store import Store

_TRIALS = "served-trial"
_CONFIGURATION = Path("/etc/fuse.conf")


class Served:
    """A core that is being mounted; ``core`` waits for it."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def core(self) -> CoreInImage:
        """The file.

        Raises:
            Unservable: it cannot be mounted.
        """
        path = self._serving.path()
        return CoreInImage(path, 0, path.stat().st_size)


def serve_core(store: Store, request: Request, engine: Engine, lasting: ExitStack) -> Served:
    """Serve a core as long as ``lasting`` lasts; the folder of the request is made in one that ``store`` lends.

    Raises:
        Unservable: the engine would not see it.
    """
    _require_sight(engine, store)
    for_others = _for_others(engine)
    remove_dead_mounts(request.folder.parent.parent)
    request.folder.mkdir()
    if for_others:
        request.folder.parent.chmod(0o755)
    return Served(lasting.enter_context(served(request._replace(for_others=for_others))))


def require_fuse() -> None:
    """Refuse a machine without FUSE.

    Raises:
        Unservable: with the reason.
    """
    why = why_no_fuse()
    if why:
        raise Unservable(f"cores cannot be read where they lie: {why}")


def try_serving(store: Store, engine: Engine | None) -> None:
    """Serve the smallest program there is; an engine has to run it from there.

    Raises:
        Unservable: it cannot be served, or the engine does not see it.
    """
    require_fuse()
    with store.workplace() as work:
        remove_dead_mounts(work.parent)
        with _program_served(work, _for_others(engine) if engine else False) as path:
            path.read_bytes()
            if engine is None or engine.name == "bubblewrap":
                return
            try:
                try_engine(engine, work, path)
            except HostError as error:
                raise Unservable(f"the {engine.name} engine does not see what is mounted: {error.message}") from error


@contextlib.contextmanager
def _program_served(work: Path, for_others: bool) -> Iterator[Path]:
    program = smallest_program(platform.machine())
    file, digests, folder = work / "program", work / "digests", work / "served"
    file.write_bytes(program)
    digests.write_text(hashlib.sha256(program).hexdigest() + "\n")
    folder.mkdir()
    work.chmod(0o755)
    try:
        with served(Request(folder, Extent(0, len(program)), digests, file, for_others=for_others)) as serving:
            yield serving.path()
    except OSError as error:
        raise Unservable(f"what is mounted cannot be read: {error.strerror}") from error


def _require_sight(engine: Engine, store: Store) -> None:
    """Refuse an engine with a daemon that does not see what we mount; the answer is remembered as long as that runs."""
    address = getattr(engine, "address", None)
    if address is None:
        return
    daemon = daemon_identity(address)
    known = store.recall(_TRIALS, address)
    if known is None or known.get("daemon") != daemon:
        known = {"daemon": daemon}
        try:
            try_serving(store, engine)
        except Unservable as why:
            known["message"] = str(why)
        store.remember(_TRIALS, address, known)
    if "message" in known:
        raise Unservable(str(known["message"]))


def _for_others(engine: Engine) -> bool:
    """Whether other users are to read it: those of an engine with a daemon, if this machine lets us say so."""
    if engine.name == "bubblewrap":
        return False
    if os.geteuid() == 0:
        return True
    with contextlib.suppress(OSError):
        return any(line.strip() == "user_allow_other" for line in _CONFIGURATION.read_text().splitlines())
    return False
