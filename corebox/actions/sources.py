"""Let gdb find source files: mount folders, and fetch what a backtrace names from debuginfod servers."""

from collections.abc import Sequence
from pathlib import Path

from corebox.actions.provision import Provision
from corebox.actions.symbols import Symbols
from corebox.bundle.manifest import Manifest
from corebox.debugger.session import FETCHED, SOURCES, source_arguments
from corebox.debugger.sources import SourceFolder, parse_source
from corebox.engine.base import Engine
from corebox.engine.sandbox import Mount, Sandbox
from corebox.errors import UsageError
from corebox.locate.sources import fetch_sources

#: What stands for a folder if servers are to be asked.
FROM_SERVERS = "debuginfod"
_TIME_LIMIT = 300.0  # seconds for gdb to name the files


def source_folders(places: Sequence[str]) -> Provision:
    """The folders among ``places``, each ``PATH`` or ``PATH=PREFIX``.

    Raises:
        InputError: ``no-such-file``.
        UsageError: ``bad-source``.
    """
    folders = [parse_source(place) for place in places if place != FROM_SERVERS]
    targets = [f"{SOURCES}/{number}" for number in range(len(folders))]
    pairs = list(zip(folders, targets, strict=True))
    return Provision(
        mounts=tuple(Mount(folder.path.resolve(), target) for folder, target in pairs),
        arguments=source_arguments((target, folder.prefix or str(folder.path)) for folder, target in pairs),
        source_folders=(*folders, *(SourceFolder(folder.path, target) for folder, target in pairs)),
    )


def fetched_sources(
    engine: Engine,
    sandbox: Sandbox,
    command: Sequence[str],
    symbols: Symbols,
    manifest: Manifest,
    work: Path,
) -> Provision:
    """Ask gdb which source files the frames of all threads are in, and fetch those that it cannot find.

    Args:
        engine: where gdb runs.
        sandbox: as for the session.
        command: gdb with ``ASK_SOURCES``.
        symbols: of the crash, with the servers to ask.
        manifest: of the crash.
        work: a folder that lasts as long as the session.

    Raises:
        UsageError: ``no-servers``.
        HostError: ``time-limit``.
    """
    from corebox.debugger.answer import parse_source_names  # noqa: PLC0415  # slow to import, and few sessions ask
    from corebox.debugger.budget import MAX_ANSWER  # noqa: PLC0415

    if symbols.servers is None:
        hint = "set DEBUGINFOD_URLS, or give a server: --symbols https://HOST"
        raise UsageError("no-servers", "no debuginfod server is configured", hint)
    names = parse_source_names(engine.run(sandbox, command, _TIME_LIMIT, MAX_ANSWER).output)
    folder = work / "sources"
    folder.mkdir(mode=0o755)
    build_ids = {str(module.build_id.known) for module in manifest.modules}
    if not fetch_sources(symbols.servers, names, build_ids, folder):
        return Provision()
    return Provision((Mount(folder, FETCHED),), ("-d", FETCHED), source_folders=(SourceFolder(folder, FETCHED),))
