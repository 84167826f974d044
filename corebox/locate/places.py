"""What a user may name as a place for the files of a crash, and for symbols; see ``open_places``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from corebox.coredump.elffile import is_elf
from corebox.errors import InputError
from corebox.locate.appimage import AppImage, is_app_image
from corebox.locate.archives import Archive
from corebox.locate.bundles import BundleFiles
from corebox.locate.folders import Folder
from corebox.locate.index import Index, read_facts
from corebox.locate.readable import Readable
from corebox.locate.sieve import Sieve
from corebox.locate.wanted import Candidate, Origin, Wanted
from corebox.locate.wantedfiles import Key, Source, WantedFiles
from corebox.store.store import Store

if TYPE_CHECKING:
    from corebox.locate.debuginfod import Debuginfod

#: Elfutils' own marks among the URLs of DEBUGINFOD_URLS, such as "ima:enforcing", begin with it.
_MARK = "ima:"


class SymbolOptions(NamedTuple):
    """Where to look for the files of a crash, and for their symbols: it is one search.

    Attributes:
        places: folders, files and URLs, in the order in which they are tried; URLs come last, and one text may hold
            several of them.
        environment: ask the servers of ``DEBUGINFOD_URLS`` too.
        force: use an ELF file that was named although its build ID is that of no module.
        ca_file: one more CA to trust for registries.
        plain_http: allow a registry on another machine without TLS.
    """

    places: tuple[str, ...] = ()
    environment: bool = False
    force: bool = False
    ca_file: Path | None = None
    plain_http: bool = False


class GivenFile:
    """An ELF file that the user names."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.path = path
        self.facts = read_facts(path)

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """See ``Place``."""
        for each in Sieve(wanted).match(self.path.name, self.facts):
            yield Candidate(each, self.path, str(self.path), Origin(self.name, url=self.name))

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """The file, if it is one of those of ``wanted_files``."""
        key = wanted_files.match(self.path.name, self.path, self.facts)
        return {} if key is None else {key: self.path}


class Places(NamedTuple):
    """The sources in the order in which they are asked; ``servers`` is the last of them, if there is one."""

    sources: tuple[Source, ...]
    given: tuple[GivenFile, ...]
    servers: "Debuginfod | None"
    named_servers: frozenset[str]


#: Makes a source of a place of some kind; None for a text that names none of its kind.
Opener = Callable[[str], Source | None]


def open_places(
    options: SymbolOptions,
    store: Store,
    environment: Mapping[str, str],
    on_warning: Callable[[str], None],
    progress: Callable[[str], None],
    openers: Sequence[Opener] = (),
) -> Places:
    """Make sources of what the user named; nothing is read yet.

    Args:
        options: what the user named.
        store: where indexes and unpacked files are kept.
        environment: for ``DEBUGINFOD_URLS`` and the client's settings.
        on_warning: gets a line for each thing that a server should do and does not.
        progress: is told what is being fetched.
        openers: of kinds of places that need more than this package has; they are asked before our own.

    Raises:
        InputError: ``no-such-file``, ``cannot-read``.
        UsageError: ``bad-debuginfod``.
    """
    index = Index(store.cached("symbols/index.sqlite3"))
    sources: list[Source] = []
    urls: dict[str, None] = {}
    for place in options.places:
        source = next((found for opener in openers if (found := opener(place))), None)
        source = source or _repository(place, store, on_warning, progress)
        if source is None and "://" in place:
            urls |= dict.fromkeys(url for url in place.split() if not url.startswith(_MARK))
        else:
            sources.append(source or _local(place, store, index, on_warning))
    everyone = tuple(dict.fromkeys((*urls, *(_servers(environment) if options.environment else ()))))
    asked = _debuginfod(everyone, environment, on_warning, progress) if everyone else None
    given = tuple(source for source in sources if isinstance(source, GivenFile))
    return Places((*sources, *([asked] if asked else [])), given, asked, frozenset(urls))


def _repository(
    place: str, store: Store, on_warning: Callable[[str], None], progress: Callable[[str], None]
) -> Source | None:
    if ":" not in place or Path(place).exists():
        return None
    # What speaks HTTP takes time to import, and most commands never need it.
    from corebox.locate.repositories.names import open_repository  # noqa: PLC0415

    return open_repository(place, store, on_warning, progress)


def _local(place: str, store: Store, index: Index, on_warning: Callable[[str], None]) -> Source:
    path = Path(place)
    if not place or not path.exists():
        hint = "give a folder, a package, an ELF file, an image or a URL: --from PLACE"
        raise InputError("no-such-file", f"{place or 'the empty argument of --from'} does not exist", hint)
    if path.is_dir():
        return Folder(path, index, open_package=lambda package: _package(package, place, store, on_warning))
    from corebox.unbundle.read import is_bundle  # noqa: PLC0415  # slow to import, and most sessions name no file

    if not is_elf(str(path)):
        return BundleFiles(path, store) if is_bundle(path) else Archive(path, store)
    return AppImage(path, store) if is_app_image(path) else GivenFile(path)


def _package(path: Path, place: str, store: Store, on_warning: Callable[[str], None]) -> Source | None:
    """A package in the folder that the user calls ``place``."""
    if is_elf(str(path)):
        return Readable(AppImage(path, store), on_warning) if is_app_image(path) else None
    return Readable(Archive(path, store, name=place), on_warning)


def _servers(environment: Mapping[str, str]) -> list[str]:
    """The servers that the environment names; what is no URL is left out."""
    words = (environment.get("DEBUGINFOD_URLS") or "").split()
    return [word for word in words if word.startswith(("http://", "https://"))]


def _debuginfod(
    urls: tuple[str, ...],
    environment: Mapping[str, str],
    on_warning: Callable[[str], None],
    progress: Callable[[str], None],
) -> "Debuginfod":
    # What speaks HTTP takes time to import, and most commands never need it.
    from corebox.locate.debuginfod import Debuginfod, read_settings  # noqa: PLC0415

    return Debuginfod(read_settings(urls, environment), on_warning, progress)
