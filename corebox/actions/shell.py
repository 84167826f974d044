"""Open gdb on a crash, in a sandbox, building whatever is missing."""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from corebox.actions.history import lent_history
from corebox.actions.output import lent_output
from corebox.actions.sources import FROM_SERVERS, Sources, fetch, mount_sources
from corebox.actions.subject import Subject, image_of
from corebox.actions.symbols import Symbols, find_symbols
from corebox.bundle.manifest import Manifest
from corebox.bundle.program import program_of
from corebox.bundle.verdict import compare_build_ids
from corebox.coredump.elffile import read_elf
from corebox.coredump.faults import not_a_file
from corebox.coredump.values import NONE
from corebox.debugger.session import (
    ASK_SOURCES,
    CORE,
    DEBUG,
    ENVIRONMENT,
    GDBSIDE,
    PYTHON_PATH,
    READ_USER_GDBINIT,
    REPLACED_EXECUTABLE,
    SCRIPT,
    SPLIT,
    SYMBOL_STATUS,
    TOOLBOX,
    USER_GDBINIT,
    add_symbols,
    gdb_command,
    is_foreign,
)
from corebox.debugger.sources import SourceFolder
from corebox.engine.base import Engine
from corebox.engine.choose import choose_engine
from corebox.engine.sandbox import Mount, Sandbox
from corebox.errors import InputError
from corebox.image.opened import OpenedImage, open_image
from corebox.resources import shipped
from corebox.store.store import Store
from corebox.store.values import host_architecture
from corebox.store.within import file_within
from corebox.symbols.places import SymbolOptions
from corebox.symbols.split import DEEP, Split, lay_out_split
from corebox.symbols.status import CrashFiles, ModuleSymbols

Progress = Callable[[str], None]


class ShellOptions(NamedTuple):
    """What to open, and how.

    Attributes:
        core: another core than the bundle's.
        executable: another executable.
        engine: where to run gdb.
        gdb_arguments: further arguments.
        customer_code: load the customer's auto-load scripts and libthread_db.
        script: a file of ours that gdb is to find at ``SCRIPT`` with the same suffix.
        symbols: where to find debug files, in addition to those of the image.
        sources: where to find sources: ``PATH``, ``PATH=PREFIX``, or ``debuginfod``.
        python_path: folders of the user's whose Python packages gdb imports.
        gdbinit: a file of the user's with gdb commands, run before the core is opened.
        typed_at: somebody types commands, which are kept for the next session on the same crash.
        opens: gdb opens the core when it starts.
        output: a folder that gets what a session writes to its own.
        tell: told why an engine that answers is not used, and what is not taken to ``output``.
    """

    core: Path | None = None
    executable: Path | None = None
    engine: str = "auto"
    gdb_arguments: tuple[str, ...] = ()
    customer_code: bool = True
    script: Path | None = None
    symbols: SymbolOptions = SymbolOptions()
    sources: tuple[str, ...] = ()
    python_path: tuple[Path, ...] = ()
    gdbinit: Path | None = None
    typed_at: bool = False
    opens: bool = True
    output: Path | None = None
    tell: Callable[[str], None] = lambda _: None


class Session(NamedTuple):
    """All that is needed to start gdb, and what the user should know before; the executable's path is inside.

    ``lacking`` are those of the notices that say what a report cannot tell.
    """

    engine: Engine
    sandbox: Sandbox
    command: tuple[str, ...]
    executable: str | None
    notices: tuple[str, ...]
    symbols: tuple[ModuleSymbols, ...]
    sources: tuple[SourceFolder, ...]
    lacking: tuple[str, ...] = ()


@contextmanager
def prepare_session(
    store: Store, subject: Subject, options: ShellOptions, progress: Progress = lambda _: None
) -> Iterator[Session]:
    """Build and unpack what is missing, and lay out the sandbox; it lasts as long as the block.

    Raises:
        InputError: ``bare-core``, ``no-core``, ``no-toolbox``, ``wrong-machine``, ``wrong-executable``, and those of
            building and of finding symbols.
        HostError: ``no-engine``, and those of finding symbols.
    """
    engine = choose_engine(options.engine, store, options.tell)
    opened = open_image(store, image_of(store, subject, progress))
    core = options.core or opened.core
    if core is None:
        raise InputError(
            "no-core", "the bundle was made without its core", "give the core: corebox shell SUBJECT -c CORE"
        )
    inside, executable = _executable(opened, options)
    notices = tuple(_notices(opened, core, executable, options))
    with store.workplace() as work, ExitStack() as lasting:
        readable = _readable(core, engine, work) if options.core else _opened_up(core, engine)
        mounts = [*_ours(opened, work), Mount(readable, CORE)]
        mounts += [Mount(_readable(path, engine, work), target) for path, target in _given(options)]
        mounts += [Mount(_readable(path, engine, work), target) for path, target in _hidden(opened)]
        mounts += _python_path(options.python_path)
        crash = CrashFiles(opened.manifest, opened.root, opened.debug, options.executable)
        found = find_symbols(store, crash, options.symbols, progress)
        mounts.append(Mount(_status(opened.manifest, found.modules, work), SYMBOL_STATUS))
        mounts += [Mount(_readable(file.path, engine, work), f"{DEBUG}/{file.target}") for file in found.files]
        mounts += [Mount(_readable(each.path, engine, work), each.target) for each in found.forced]
        split = _split(crash, found, options, work)
        mounts += [Mount(work / "split", SPLIT)] if split.used else []
        sources = mount_sources(options.sources)
        plain = {"NO_COLOR": "1"} if os.environ.get("NO_COLOR") else {}  # gdb heeds it
        environment = {**ENVIRONMENT, **plain, "TERM": os.environ.get("TERM", "dumb")}
        sandbox = Sandbox(opened.root, (*mounts, *sources.mounts), environment, owner=work)
        forced = [word for each in found.forced for word in add_symbols(each.target, each.bias)]
        given = [*split.arguments, *sources.arguments, *forced]

        def command(arguments: Sequence[str], core: str | None = CORE) -> list[str]:
            code, folders = options.customer_code, _symbol_folders(found, split)
            foreign = is_foreign(opened.manifest.site.machine)
            return gdb_command(inside, [*given, *arguments], core, code, folders, foreign)

        fetched = Sources()
        if FROM_SERVERS in options.sources:
            progress("looking for the sources")
            fetched = fetch(engine, sandbox, command(ASK_SOURCES), found, opened.manifest, work)
        history = lasting.enter_context(lent_history(store, opened.identity, work)) if options.typed_at else ()
        output = lasting.enter_context(lent_output(options.output, work, options.tell))
        sandbox = sandbox._replace(mounts=(*sandbox.mounts, *fetched.mounts, *history), output=output)
        asked = [*fetched.arguments, *(READ_USER_GDBINIT if options.gdbinit else ()), *options.gdb_arguments]
        line = tuple(command(asked, CORE if options.opens else None))
        told = (*notices, *_stripped(opened, executable, found), *found.notices, *split.notices)
        folders = (*sources.folders, *fetched.folders)
        yield Session(engine, sandbox, line, inside, told, found.modules, folders, split.notices)


def _ours(opened: OpenedImage, work: Path) -> Iterator[Mount]:
    """What gdb needs of ours; an InputError if that is not in the image, or is for another processor."""
    architecture = opened.image.config.get("architecture")
    if architecture != host_architecture():
        message = (
            f"the gdb in the image {opened.image.image_id} is for {architecture}, this machine is {host_architecture()}"
        )
        hint = "get the bundle out, corebox export SUBJECT --bundle crash.corebox, and open that"
        raise InputError("wrong-platform", message, hint)
    if not opened.toolbox.is_dir():
        message = f"the image {opened.image.image_id} contains no gdb: it was built without the toolbox"
        hint = "extract the bundle and open that: corebox export SUBJECT --bundle crash.corebox"
        raise InputError("no-toolbox", message, hint)
    yield Mount(opened.toolbox, TOOLBOX)
    yield Mount(_gdbside(work), GDBSIDE)
    yield Mount(opened.ours / "gdbinit", "/.corebox/gdbinit")
    yield Mount(opened.ours / "manifest.json", "/.corebox/manifest.json")
    if opened.debug is not None:
        yield Mount(opened.debug, "/.corebox/debug")


def _hidden(opened: OpenedImage) -> Iterator[tuple[Path, str]]:
    """The customer's files below /dev, which in a sandbox is its own, and where gdb finds them: /dev/shm is for all."""
    root = opened.root.resolve()
    for file in opened.manifest.files:
        path = (root / file.path.lstrip("/")).resolve()
        # A link of the customer's may lead anywhere.
        if file.path.startswith("/dev/") and path == root / file.path.lstrip("/") and path.is_file():
            yield path, file.path


def _given(options: ShellOptions) -> Iterator[tuple[Path, str]]:
    """The user's files, and where gdb finds them."""
    if options.executable:
        yield options.executable, REPLACED_EXECUTABLE
    if options.script:
        yield options.script, SCRIPT + options.script.suffix
    if options.gdbinit:
        yield options.gdbinit, USER_GDBINIT


def _python_path(folders: Sequence[Path]) -> Iterator[Mount]:
    """Where gdbside/packages.py finds the user's Python packages."""
    for number, folder in enumerate(folders):
        if not folder.is_dir():
            hint = "give the folder that your packages are in: --python-path DIR"
            raise InputError("no-such-file", f"{folder} is not a folder", hint)
        yield Mount(folder.resolve(), f"{PYTHON_PATH}/{number}")


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


def _status(manifest: Manifest, modules: Sequence[ModuleSymbols], work: Path) -> Path:
    """The program's name and what is known of each module's symbols, for the banner."""
    path = work / "symbols.json"
    program = os.fsencode(str(program_of(manifest))).decode("utf-8", "replace")
    path.write_text(json.dumps({"version": 1, "program": program, "modules": [each.to_json() for each in modules]}))
    path.chmod(0o644)
    return path


def _executable(opened: OpenedImage, options: ShellOptions) -> tuple[str | None, Path | None]:
    """The executable's path in the sandbox and on this machine."""
    if options.executable:
        return REPLACED_EXECUTABLE, options.executable
    path = opened.manifest.process.executable
    file = file_within(opened.root, path) if path else None
    return (path, file) if file is not None else (None, None)


def _notices(opened: OpenedImage, core: Path, executable: Path | None, options: ShellOptions) -> Iterator[str]:
    """What is not as it should be, in plain words, each with what to do about it."""
    if executable is None:
        yield "the bundle has no executable; give it: corebox shell -e EXECUTABLE ..."
        return
    known = next((module for module in opened.manifest.modules if module.executable), None)
    if options.executable or options.core or known is None:
        in_memory, in_file = _looked_at(core, executable, options)
    else:  # reading it again would take a sixth of a second
        in_memory, in_file = known.memory, known.file
    verdict, detail = compare_build_ids(in_memory, in_file)
    if verdict == "mismatch":
        builds = f"build ID {in_memory} in the core, {in_file} in the file"
        what = f"{executable.name} is not the executable that crashed ({detail}): {builds}"
        if options.executable and not options.symbols.force:
            hint = "give the one that crashed, or use this one anyway: --force"
            raise InputError("wrong-executable", what, hint)
        yield f"{what}; its frames will be wrong"


def _split(crash: CrashFiles, found: Symbols, options: ShellOptions, work: Path) -> Split:
    """The split debug information, laid out in a folder of its own."""
    top = work / "split"
    top.mkdir(mode=0o755)
    return lay_out_split(crash, [each.path for each in found.files], options.symbols.places, top)


def _symbol_folders(found: Symbols, split: Split) -> list[str]:
    """Where gdb looks for symbols before all others."""
    return [*([DEBUG] if found.files else []), *([f"{SPLIT}/{DEEP}"] if split.used else [])]


def _stripped(opened: OpenedImage, executable: Path | None, found: Symbols) -> Iterator[str]:
    """Which file would name the program's own frames, if none of those at hand does."""
    for module, known in zip(opened.manifest.modules, found.modules, strict=True):
        if executable and module.executable and known.symbols == NONE and not found.forced:
            yield (
                f"{executable.name} is stripped: its frames have no names or lines; "
                f"give the unstripped file of build ID {known.build_id}: corebox shell -e UNSTRIPPED ..."
            )


def _looked_at(core: Path, executable: Path, options: ShellOptions) -> tuple[str | None, str | None]:
    """Build ID in the core and in the file, as the manifest has them."""
    from corebox.coredump.core import open_core  # noqa: PLC0415  # slow to import, and most sessions replace nothing
    from corebox.gather.collect import check_executable  # noqa: PLC0415

    facts = read_elf(str(executable))
    with open_core(str(core)) as opened:
        if options.executable or options.core:
            check_executable(opened, str(executable))
        in_memory = next((module.build_id for module in opened.modules if module.is_executable), None)
    return in_memory, facts.build_id


def _opened_up(core: Path, engine: Engine) -> Path:
    """The store's own file, readable for a container's user; nobody else gets past the store's directories."""
    if not _reads_as_we_do(engine):
        core.chmod(0o644)
    return core


def _reads_as_we_do(engine: Engine) -> bool:
    """Bubblewrap reads with the caller's rights, a container does not when root calls."""
    return engine.name == "bubblewrap" or bool(os.getuid())


def _readable(path: Path, engine: Engine, work: Path) -> Path:
    """``path``, or a sparse copy if only root could read it and the engine's user is not root.

    Cores are 0600.

    Raises:
        InputError: ``no-such-file``, ``not-a-file``, ``cannot-read``.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise not_a_file(str(path))
        if _reads_as_we_do(engine) or status.st_mode & stat.S_IROTH:
            return path.resolve()
        from corebox.image.export import copy_sparse  # noqa: PLC0415  # slow to import, and seldom needed

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
