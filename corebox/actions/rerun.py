"""Start the customer's program again, with exactly the files it had, in the sandbox."""

import os
import posixpath
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from corebox.actions.completed import completed
from corebox.actions.places import opened_places
from corebox.actions.subject import Subject
from corebox.bundle.manifest import Manifest
from corebox.debugger.session import SCRATCH, is_foreign
from corebox.engine.base import Engine
from corebox.engine.choose import choose_engine
from corebox.engine.sandbox import Sandbox
from corebox.errors import InputError
from corebox.image.opened import OpenedImage
from corebox.locate.places import SymbolOptions
from corebox.store.store import Store

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Rerun(NamedTuple):
    """All that is needed to start the program, and what the user should know before."""

    engine: Engine
    sandbox: Sandbox
    command: tuple[str, ...]
    notices: tuple[str, ...]


@contextmanager
def prepare_rerun(
    store: Store,
    subject: Subject,
    arguments: Sequence[str],
    engine: str = "auto",
    progress: Callable[[str], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
    symbols: SymbolOptions | None = None,
) -> Iterator[Rerun]:
    """Lay out the sandbox; it lasts as long as the block. ``tell`` is told why an engine is not used.

    Files that are missing are looked for in the places of ``symbols``.

    Raises:
        InputError: ``no-executable``, ``wrong-machine``, and those of building.
        HostError: those of ``choose_engine``.
    """
    chosen = choose_engine(engine, store, tell)
    complete = completed(store, subject, opened_places(store, symbols or SymbolOptions(), progress).places, progress)
    opened = complete.opened
    program = _program(opened)
    with store.workplace() as work:
        sandbox = Sandbox(opened.root, (), _environment(opened.manifest), owner=work, processes=True)
        yield Rerun(chosen, sandbox, (program, *arguments), (*complete.notices, *_notices(opened.manifest, chosen)))


def signal_of(status: int) -> str | None:
    """The name of the signal that a program died of, by its exit status; None if it ended by itself."""
    try:
        return signal.Signals(status - 128).name
    except ValueError:
        return None


def _program(opened: OpenedImage) -> str:
    """The program's path in the sandbox."""
    machine = opened.manifest.site.machine
    if is_foreign(machine):
        message = f"the program is for {machine}, this machine is not"
        raise InputError("wrong-machine", message, f"start it on a machine where uname -m says {machine}")
    path = opened.manifest.process.executable
    file = opened.root / path.lstrip("/") if path else None
    if path is None or file is None or not file.is_file():
        hint = "gather again with -e EXECUTABLE where it crashed"
        raise InputError("no-executable", "the bundle has no executable that could be started", hint)
    if not os.access(file, os.X_OK):
        raise InputError("no-executable", f"{path} is not executable", "gather it again as it was installed")
    return path


def _environment(manifest: Manifest) -> dict[str, str]:
    """A small one; the loader finds the libraries where they were, for it has no cache here (ld.so(8))."""
    folders = dict.fromkeys(posixpath.dirname(module.path) for module in manifest.modules if not module.executable)
    return {
        "PATH": _PATH,
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "LC_ALL": "C.UTF-8",
        "TERM": os.environ.get("TERM", "dumb"),
        "LD_LIBRARY_PATH": ":".join(folder for folder in folders if ":" not in folder),
    }


def _notices(manifest: Manifest, engine: Engine) -> Iterator[str]:
    process = manifest.process
    yield f"starting {process.executable} in the sandbox ({engine.name}): no network, and no files but the bundle's"
    if process.arguments:
        yield f"its command line when it crashed: {process.arguments}"
    if not engine.bounds_memory:
        yield "it cannot start other processes here: their total memory could not be limited (see corebox doctor)"
