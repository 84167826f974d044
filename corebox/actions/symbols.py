"""Find the symbols of a crash, and say how much is known of each module then."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from posixpath import basename
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from corebox.actions.places import OpenedPlaces
from corebox.bundle.manifest import ModuleEntry
from corebox.coredump.elffile import read_elf
from corebox.coredump.values import FULL
from corebox.debugger.session import FORCED
from corebox.errors import HostError, InputError
from corebox.locate.find import DebugFile, find_debug_files, lacking
from corebox.locate.places import GivenFile, Places, SymbolOptions
from corebox.locate.split import SPLIT_SUFFIXES
from corebox.locate.status import CrashFiles, ModuleSymbols, best_of, module_symbols

if TYPE_CHECKING:
    from corebox.locate.debuginfod import Debuginfod


class Forced(NamedTuple):
    """A file that is used for a module although its build ID is another.

    Attributes:
        path: on this machine.
        target: in the sandbox.
        bias: how far the module was moved in memory.
    """

    path: Path
    target: str
    bias: int


class Symbols(NamedTuple):
    """What was found, what is known of each module with it, what the user should know, and the servers if there are."""

    files: tuple[DebugFile, ...]
    modules: tuple[ModuleSymbols, ...]
    forced: tuple[Forced, ...] = ()
    notices: tuple[str, ...] = ()
    servers: "Debuginfod | None" = None


def find_symbols(
    crash: CrashFiles,
    opened: OpenedPlaces,
    options: SymbolOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> Symbols:
    """The debug files of those modules whose symbols are not at hand.

    Args:
        crash: the files at hand.
        opened: where to look.
        options: what the user named.
        progress: told what takes time.

    Raises:
        InputError: ``no-such-file``, ``wrong-symbols``, ``bad-symbols``.
        HostError: ``debuginfod-unreachable`` for a server that the user named, ``no-libarchive``, ``no-space``.
    """
    places = opened.places
    modules = crash.manifest.modules
    status = module_symbols(crash)
    missing = [
        wanted
        for module, known in zip(modules, status, strict=True)
        if known.symbols != FULL and (wanted := lacking(module, crash.file_of))
    ]
    if places.sources and missing:
        progress(f"looking for symbols of {len(missing)} modules")
    found = find_debug_files(places.sources, missing)
    used = {each.path for each in found}
    unused = [file for file in places.given if file.path not in used and file.path.suffix not in SPLIT_SUFFIXES]
    forced = _force(unused, modules, options.force)
    levels = {file.target: file.facts.symbols for file in found}
    gained = {each.module.path: [levels.get(target) for target in each.targets] for each in missing}
    now = (each._replace(symbols=best_of([each.symbols, *gained.get(each.path, [])])) for each in status)
    return Symbols(tuple(found), tuple(now), forced, (*opened.notices, *_about_servers(places)), places.servers)


def _about_servers(places: Places) -> list[str]:
    """Say whom a variable of the environment has made us ask; complain of a named server that does not answer."""
    if places.servers is None:
        return []
    for url in places.servers.silent & places.named_servers:
        message = f"the debuginfod server {urlsplit(url).hostname} does not answer"
        raise HostError(
            "debuginfod-unreachable", message, f"check it: curl -I {url.rstrip('/')}/metrics; or leave it out"
        )
    others = sorted(str(urlsplit(url).hostname) for url in places.servers.asked - places.named_servers)
    hint = "from DEBUGINFOD_URLS; --no-debuginfod skips it"
    return [f"symbols were looked for at {', '.join(others)}: {hint}"] if others else []


def _force(unused: Iterable[GivenFile], modules: Sequence[ModuleEntry], force: bool) -> tuple[Forced, ...]:
    """The files that are used all the same, of those that the user named and that answer nothing that is lacking.

    Raises:
        InputError: ``wrong-symbols`` for a file that is of no module, unless it is forced on the module of its name.
    """
    forced: list[Forced] = []
    known = {module.build_id.known for module in modules}
    for file in unused:
        if file.facts.build_id is not None and file.facts.build_id in known:
            continue  # what it has is at hand already
        module = _namesake(file.path, modules)
        if module is None or not force:
            raise _wrong(file, module)
        bias = module.start - read_elf(str(file.path)).lowest_page
        forced.append(Forced(file.path, f"{FORCED}/{len(forced)}", bias))
    return tuple(forced)


def _namesake(path: Path, modules: Sequence[ModuleEntry]) -> ModuleEntry | None:
    name = path.name.removesuffix(".debug")
    return next((each for each in modules if name in map(basename, (each.path, *each.opened_as))), None)


def _wrong(file: GivenFile, module: ModuleEntry | None) -> InputError:
    has = f"{file.path} has the build ID {file.facts.build_id or 'none'}"
    if module is None:
        message = f"{has}, which no module of the crash has, nor is there one called {file.path.name}"
        hint = "list the modules: corebox info SUBJECT"
    else:
        message = f"{has}, but {module.path} of the crash has {module.build_id.known or 'none'}"
        hint = "give the file of that build, or use this one anyway: --force"
    return InputError("wrong-symbols", message, hint)
