"""What a user may name as a place for symbols: a folder, a package or tar file, an ELF file, or a server's URL."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from corebox.coredump.elffile import is_elf
from corebox.errors import InputError
from corebox.locate.archives import Archive
from corebox.locate.folders import Folder
from corebox.locate.index import Index, read_facts
from corebox.locate.wish import Key, Source, Wish
from corebox.store.store import Store

if TYPE_CHECKING:
    from corebox.locate.debuginfod import Debuginfod

#: Elfutils' own marks among the URLs of DEBUGINFOD_URLS, such as "ima:enforcing", begin with it.
_MARK = "ima:"


class SymbolOptions(NamedTuple):
    """Where to look for symbols.

    Attributes:
        places: folders, files and URLs, in the order in which they are tried; URLs come last, and one text may hold
            several of them.
        environment: ask the servers of ``DEBUGINFOD_URLS`` too.
        force: use an ELF file that was named although its build ID is that of no module.
    """

    places: tuple[str, ...] = ()
    environment: bool = False
    force: bool = False


class GivenFile:
    """An ELF file that the user names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts = read_facts(path)

    def find(self, wish: Wish) -> dict[Key, Path]:
        """The file, if it is one of those of ``wish``."""
        key = wish.match(self.path.name, self.path, self.facts)
        return {} if key is None else {key: self.path}


class Places(NamedTuple):
    """The sources in the order in which they are asked; ``servers`` is the last of them, if there is one."""

    sources: tuple[Source, ...]
    given: tuple[GivenFile, ...]
    servers: "Debuginfod | None"
    named_servers: frozenset[str]


def open_places(
    options: SymbolOptions,
    store: Store,
    environment: Mapping[str, str],
    told: Callable[[str], None],
    progress: Callable[[str], None],
) -> Places:
    """Make sources of what the user named; nothing is read yet.

    Args:
        options: what the user named.
        store: where indexes and unpacked files are kept.
        environment: for ``DEBUGINFOD_URLS`` and the client's settings.
        told: gets a line for each thing that a server should do and does not.
        progress: is told what is being fetched.

    Raises:
        InputError: ``no-such-file``, ``cannot-read``.
        UsageError: ``bad-debuginfod``.
    """
    index = Index(store.cached("symbols/index.sqlite3"))
    named = [place for place in options.places if "://" in place]
    sources = [_local(place, store, index) for place in options.places if place not in named]
    urls = dict.fromkeys(url for text in named for url in text.split() if not url.startswith(_MARK))
    everyone = tuple(dict.fromkeys((*urls, *(_servers(environment) if options.environment else ()))))
    asked = _debuginfod(everyone, environment, told, progress) if everyone else None
    given = tuple(source for source in sources if isinstance(source, GivenFile))
    return Places((*sources, *([asked] if asked else [])), given, asked, frozenset(urls))


def _local(place: str, store: Store, index: Index) -> Source:
    path = Path(place)
    if not place or not path.exists():
        hint = "give a folder, a package, an ELF file or a URL: --symbols PLACE"
        raise InputError("no-such-file", f"{place or 'the empty argument of --symbols'} does not exist", hint)
    if path.is_dir():
        return Folder(path, index)
    return GivenFile(path) if is_elf(str(path)) else Archive(path, store)


def _servers(environment: Mapping[str, str]) -> list[str]:
    """The servers that the environment names; what is no URL is left out."""
    words = (environment.get("DEBUGINFOD_URLS") or "").split()
    return [word for word in words if word.startswith(("http://", "https://"))]


def _debuginfod(
    urls: tuple[str, ...],
    environment: Mapping[str, str],
    told: Callable[[str], None],
    progress: Callable[[str], None],
) -> "Debuginfod":
    # What speaks HTTP takes time to import, and most commands never need it.
    from corebox.locate.debuginfod import Debuginfod, read_settings  # noqa: PLC0415

    return Debuginfod(read_settings(urls, environment), told, progress)
