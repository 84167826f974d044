"""Open gdb on a crash, in a sandbox, building whatever is missing."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from corebox.actions.build import image_of, symbols_of
from corebox.actions.history import lent_history
from corebox.actions.subject import Subject
from corebox.bundle.prove import compare_build_ids
from corebox.coredump import debug_path, open_core, read_elf
from corebox.debugger import (
    CORE,
    DEBUG,
    ENVIRONMENT,
    GDBSIDE,
    READ_USER_GDBINIT,
    REPLACED_EXECUTABLE,
    SCRIPT,
    TOOLBOX,
    USER_GDBINIT,
    gdb_command,
)
from corebox.engine import Engine, Mount, Sandbox, choose_engine
from corebox.errors import InputError
from corebox.gather.collect import check_executable
from corebox.image import OpenedImage, copy_sparse, open_image
from corebox.resources import shipped
from corebox.store import Store

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ShellOptions:
    """What to open, and how.

    Attributes:
        core: another core than the bundle's.
        executable: another executable.
        engine: where to run gdb.
        gdb_arguments: further arguments.
        customer_code: load the customer's auto-load scripts and libthread_db.
        script: a file of ours that gdb is to find at ``SCRIPT`` with the same suffix.
        symbols: folders with debug files, in addition to those of the image.
        gdbinit: a file of the user's with gdb commands, run before the core is opened.
        typed_at: somebody types commands, which are kept for the next session on the same crash.
        opens: gdb opens the core when it starts.
    """

    core: Path | None = None
    executable: Path | None = None
    engine: str = "auto"
    gdb_arguments: tuple[str, ...] = ()
    customer_code: bool = True
    script: Path | None = None
    symbols: tuple[Path, ...] = ()
    gdbinit: Path | None = None
    typed_at: bool = False
    opens: bool = True


@dataclass(frozen=True)
class Session:
    """All that is needed to start gdb, and what the user should know before; the executable's path is inside."""

    engine: Engine
    sandbox: Sandbox
    command: tuple[str, ...]
    executable: str | None
    notices: tuple[str, ...]


@contextmanager
def prepare_session(
    store: Store, subject: Subject, options: ShellOptions, progress: Progress = lambda _: None
) -> Iterator[Session]:
    """Build and unpack what is missing, and lay out the sandbox; it lasts as long as the block.

    Raises:
        InputError: ``bare-core``, ``no-core``, ``wrong-machine``, and those of building.
        HostError: ``no-engine``.
    """
    engine = choose_engine(options.engine)
    opened = open_image(store, image_of(store, subject, progress))
    core = options.core or opened.core
    if core is None:
        raise InputError("no-core", "the bundle was made without its core", "give the core: corebox shell -c CORE ...")
    inside, executable = _executable(opened, options)
    notices = tuple(_notices(core, executable, options))
    with store.workplace() as work, ExitStack() as lasting:
        mounts = [
            Mount(opened.toolbox, TOOLBOX),
            Mount(_gdbside(work), GDBSIDE),
            Mount(_readable(core, engine, work) if options.core else core, CORE),
            Mount(opened.ours / "gdbinit", "/.corebox/gdbinit"),
            Mount(opened.ours / "manifest.json", "/.corebox/manifest.json"),
        ]
        if opened.debug is not None:
            mounts.append(Mount(opened.debug, "/.corebox/debug"))
        if options.executable:
            mounts.append(Mount(_readable(options.executable, engine, work), REPLACED_EXECUTABLE))
        if options.script:
            mounts.append(Mount(_readable(options.script, engine, work), SCRIPT + options.script.suffix))
        if options.gdbinit:
            mounts.append(Mount(_readable(options.gdbinit, engine, work), USER_GDBINIT))
        if options.typed_at:
            mounts += lasting.enter_context(lent_history(store, opened.identity, work))
        found = symbols_of(opened.manifest, options.symbols)
        for build_id, path in found.items():
            mounts.append(Mount(_readable(path, engine, work), f"{DEBUG}/{debug_path(build_id)}"))
        environment = {**ENVIRONMENT, "TERM": os.environ.get("TERM", "dumb")}
        arguments = [*(READ_USER_GDBINIT if options.gdbinit else ()), *options.gdb_arguments]
        sandbox = Sandbox(opened.root, tuple(mounts), environment, owner=work)
        command = gdb_command(
            inside,
            arguments,
            core=CORE if options.opens else None,
            customer_code=options.customer_code,
            more_symbols=bool(found),
        )
        yield Session(engine, sandbox, tuple(command), inside, notices)


def _gdbside(work: Path) -> Path:
    """Our Python for gdb, which everybody may read: an image that was pulled may hold that of another corebox."""
    folder = work / "gdbside"
    folder.mkdir(mode=0o755)
    work.chmod(0o755)
    for path in shipped("images/toolbox/gdbside").glob("*.py"):
        shutil.copyfile(path, folder / path.name)
        (folder / path.name).chmod(0o644)
    folder.chmod(0o755)
    return folder


def _executable(opened: OpenedImage, options: ShellOptions) -> tuple[str | None, Path | None]:
    """The executable's path in the sandbox and on this machine."""
    if options.executable:
        return REPLACED_EXECUTABLE, options.executable
    path = opened.manifest.process.executable
    file = opened.root / path.lstrip("/") if path else None
    return (path, file) if file is not None and file.is_file() else (None, None)


def _notices(core: Path, executable: Path | None, options: ShellOptions) -> Iterator[str]:
    """What is not as it should be, in plain words, each with what to do about it."""
    if executable is None:
        yield "the bundle has no executable; give it: corebox shell -e EXECUTABLE ..."
        return
    facts = read_elf(str(executable))
    with open_core(str(core)) as opened:
        if options.executable or options.core:
            check_executable(opened, str(executable))
        in_memory = next((module.build_id for module in opened.modules if module.is_executable), None)
    verdict, detail = compare_build_ids(in_memory, facts.build_id)
    if verdict == "mismatch":
        builds = f"build ID {in_memory} in the core, {facts.build_id} in the file"
        yield f"{executable.name} is not the executable that crashed ({detail}): {builds}; its frames will be wrong"
    if facts.stripped:
        yield (
            f"{executable.name} is stripped: its frames have no names or lines; "
            f"give the unstripped file of build ID {facts.build_id}: corebox shell -e UNSTRIPPED ..."
        )


def _readable(path: Path, engine: Engine, work: Path) -> Path:
    """``path``, or a sparse copy if only root could read it and the engine's user is not root.

    Cores are 0600. bubblewrap reads with the caller's rights, a container does not when root calls.

    Raises:
        InputError: ``no-such-file``, ``cannot-read``.
    """
    try:
        status = path.stat()
        if engine.name == "bubblewrap" or os.getuid() or status.st_mode & stat.S_IROTH:
            return path.resolve()
        folder = Path(tempfile.mkdtemp(dir=work))  # files of the same name may come from many folders
        copy = folder / path.name
        copy_sparse(path, copy)
        copy.chmod(0o444)
        folder.chmod(0o755)
        work.chmod(0o755)
        return copy
    except FileNotFoundError as error:
        raise InputError("no-such-file", f"{path} does not exist", "check the name: ls -l") from error
    except OSError as error:
        hint = f"check owner and permissions: ls -ld {path}"
        raise InputError("cannot-read", f"cannot read {path}: {error.strerror}", hint) from error
