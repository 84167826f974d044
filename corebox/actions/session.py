"""Lay out a session of gdb on a crash in a sandbox, building whatever is missing."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from corebox.actions import provisions
from corebox.actions.cores import AUTO
from corebox.actions.crash import Crash, inspect_crash
from corebox.actions.history import lent_history
from corebox.actions.opening import Circumstances, open_crash
from corebox.actions.output import lent_output
from corebox.actions.places import opened_places
from corebox.actions.provision import Provision, sum_of
from corebox.actions.sharing import Sharing
from corebox.actions.sources import FROM_SERVERS, fetched_sources, source_folders
from corebox.actions.subject import Found
from corebox.actions.symbols import find_symbols
from corebox.debugger.session import ASK_SOURCES, CORE, ENVIRONMENT, FAR, gdb_command, is_foreign
from corebox.debugger.sources import SourceFolder
from corebox.engine.base import Engine
from corebox.engine.choose import choose_engine
from corebox.engine.sandbox import Sandbox
from corebox.locate.places import SymbolOptions
from corebox.locate.status import CrashFiles, ModuleSymbols
from corebox.store.store import Store

Progress = Callable[[str], None]


class SessionOptions(NamedTuple):
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
        fetch: how the crash's own core comes to gdb, of ``cores.CORES``.
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
    fetch: str = AUTO
    output: Path | None = None
    tell: Callable[[str], None] = lambda _: None


class Session(NamedTuple):
    """All that is needed to start gdb, and what the user should know before.

    Attributes:
        engine: where it runs, in ``sandbox``, with ``command``.
        sandbox: see there.
        command: see there.
        crash: what it opens.
        notices: what the user should know; ``lacking`` are those of them that say what a report cannot tell.
        lacking: see there.
        symbols: what is known of each module.
        sources: what stands for folders of this machine in the names of sources.
    """

    engine: Engine
    sandbox: Sandbox
    command: tuple[str, ...]
    crash: Crash
    notices: tuple[str, ...]
    lacking: tuple[str, ...]
    symbols: tuple[ModuleSymbols, ...]
    sources: tuple[SourceFolder, ...]


@contextmanager
def prepare_session(
    store: Store, subject: Found, options: SessionOptions, progress: Progress = lambda _: None
) -> Iterator[Session]:
    """Build and unpack what is missing, and lay out the sandbox; it lasts as long as the block.

    Raises:
        InputError: ``bare-core``, ``no-core``, ``no-toolbox``, ``wrong-machine``, ``wrong-executable``, and those of
            building and of finding symbols.
        HostError: ``no-engine``, and those of finding symbols.
    """
    engine = choose_engine(options.engine, store, options.tell)
    places = opened_places(store, options.symbols, progress)
    circumstances = Circumstances(engine, places.places, options.fetch, options.tell, progress)
    with store.workplace() as work, ExitStack() as lasting:
        opening = open_crash(store, subject, circumstances, work, lasting)
        opened = opening.opened
        if opening.search is not None:
            from corebox.locate.complete import with_gaps  # noqa: PLC0415  # slow to import, and most lack nothing

            opened = opened._replace(manifest=with_gaps(opened.manifest, opening.search))
        crash = inspect_crash(opened, options.core, options.executable, options.symbols.force)
        sharing = Sharing(engine, work)
        files = CrashFiles(opened.manifest, opened.root, opened.debug, options.executable)
        found = find_symbols(files, places, options.symbols, progress)
        parts = [
            Provision(notices=opening.notices),
            provisions.our_files(opened, work),
            provisions.crash_files(crash, sharing),
            provisions.python_packages(options.python_path),
            provisions.symbol_files(crash, found, sharing),
            provisions.split_files(files, found, places.places.sources, work),
            source_folders(options.sources),
        ]
        if FROM_SERVERS in options.sources:
            progress("looking for the sources")
            asking = _start(crash, sum_of([*parts, Provision(arguments=ASK_SOURCES)]), options, work)
            parts.append(fetched_sources(engine, *asking, found, opened.manifest, work))
        if options.typed_at:
            parts.append(lasting.enter_context(lent_history(store, opened.identity, work)))
        parts.append(provisions.commands(options.script, options.gdbinit, options.gdb_arguments, sharing))
        whole = sum_of(parts)
        sandbox, command = _start(crash, whole, options, work, options.opens)
        output = lasting.enter_context(lent_output(options.output, work, options.tell))
        yield Session(
            engine,
            sandbox._replace(output=output, environment={**sandbox.environment, **(FAR if opening.is_far else {})}),
            command,
            crash,
            whole.notices,
            whole.lacking,
            found.modules,
            whole.source_folders,
        )


def _start(
    crash: Crash, whole: Provision, options: SessionOptions, work: Path, opens: bool = True
) -> tuple[Sandbox, tuple[str, ...]]:
    """The sandbox, and the command that starts gdb in it."""
    plain = {"NO_COLOR": "1"} if os.environ.get("NO_COLOR") else {}  # gdb heeds it
    environment = {**ENVIRONMENT, **plain, "TERM": os.environ.get("TERM", "dumb")}
    command = gdb_command(
        crash.inside,
        whole.arguments,
        CORE if opens else None,
        options.customer_code,
        whole.symbol_folders,
        is_foreign(crash.opened.manifest.site.machine),
    )
    return Sandbox(crash.opened.root, whole.mounts, environment, owner=work), tuple(command)
