"""Repositories as a place: from what is wanted to packages, from these to files, which the search proves."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from corebox.errors import InputError
from corebox.locate.archives import Archive
from corebox.locate.companions import OS_RELEASE, is_libc
from corebox.locate.index import read_facts
from corebox.locate.repositories.download import Downloads, WrongDigestError
from corebox.locate.repositories.packages import (
    Found,
    PackageFile,
    Query,
    Repository,
    build_id_links,
    debug_paths,
    spellings,
)
from corebox.locate.wanted import Candidate, Member, Origin, Tree, Wanted, Wants
from corebox.locate.wantedfiles import Best, Key, WantedFiles
from corebox.store.store import Store
from corebox.store.values import host_architecture

_MAX_PACKAGE_SIZE = 4 << 30
#: Of one package name so many versions are looked into, and of one search so many packages.
_MAX_VERSIONS, _MAX_PACKAGES = 4, 400
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class Repositories:
    """Repositories that the user names as one place, e.g. a distribution's release and its updates.

    Args:
        name: what the user calls it.
        repositories: in the order in which their packages are looked into.
        store: where packages are kept.
        downloads: fetches them.
        on_warning: gets a line for what the user should know.
    """

    def __init__(
        self,
        name: str,
        repositories: Sequence[Repository],
        store: Store,
        downloads: Downloads,
        on_warning: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = name
        self._repositories = repositories
        self._store = store
        self._downloads = downloads
        self._on_warning = on_warning
        self._machine = _MACHINES.get(host_architecture(), host_architecture())

    @property
    def received(self) -> int:
        """Bytes that were downloaded."""
        return self._downloads.received

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """See ``Place``.

        Raises:
            InputError: ``bad-repository``, ``bad-signature``.
            HostError: ``repository-unreachable``, ``no-libarchive``, ``no-gpgv``.
        """
        for machine in sorted({each.machine for each in wanted}):
            self._machine = machine
            yield from self._of_machine([each for each in wanted if each.machine == machine], machine)

    def _of_machine(self, wanted: Sequence[Wanted], machine: str) -> Iterator[Candidate]:
        """By the packages that the files are said to be of; what these lack by the names of the files."""
        left = set(wanted)
        hints = frozenset(each.package for each in wanted if each.package)
        if hints:
            query = Query(frozenset(), frozenset(), frozenset(name for name, _ in hints), machine)
            yield from self._in_packages(query, {}, left, hints)
        names = {spelling: each for each in left for name in each.names for spelling in spellings(name)}
        names |= {link: each for each in left if each.build_id for link in build_id_links(each.build_id)}
        if names:
            paths = frozenset((*names, *OS_RELEASE))
            yield from self._in_packages(Query(paths, frozenset(), frozenset(), machine), names, left, hints)

    def _in_packages(
        self, query: Query, names: Mapping[str, Wanted], left: set[Wanted], hints: frozenset[tuple[str, str]]
    ) -> Iterator[Candidate]:
        """What the packages have of ``left``, out of which goes what was found; ``names`` is whose each path is."""
        everything = self._found(query)
        system = [each for each in everything if each.has and not each.has.isdisjoint(OS_RELEASE)]
        for batch in _rounds(everything, hints):
            useful = [found for found in batch if _may_help(found, names, left)]
            for found, path in self._fetched(useful):
                archive = _Package(path, self._store, self.name, self._origin(found.package))
                for candidate in archive.candidates(sorted(left, key=_by_name)):
                    if self._is_it(candidate):
                        left.discard(candidate.wanted)
                    tree: Tree = archive
                    if names and is_libc(candidate.wanted):
                        tree = _WithSystem(archive, self._trees(system[:1]))
                    yield candidate._replace(tree=tree)
            if not left:
                return

    def _origin(self, package: PackageFile) -> Origin:
        return Origin(self.name, package.name, package.version, package.url)

    def _trees(self, packages: Sequence[Found]) -> Iterator[tuple[Tree, Origin]]:
        """These packages: one of them has the name of the system, which belongs to no library."""
        for found, path in self._fetched(packages):
            origin = self._origin(found.package)
            yield _Package(path, self._store, self.name, origin), origin

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """The debug files of ``wanted_files`` that have a build ID; raises as ``candidates``."""
        paths = frozenset(path for build_id in wanted_files.build_ids for path in debug_paths(build_id))
        query = Query(paths, frozenset(wanted_files.build_ids), frozenset(), self._machine)
        best = Best()
        left = wanted_files
        for batch in _rounds([each for each in self._found(query) if each.has], frozenset()):
            for _, path in self._fetched(batch):
                for key, file in Archive(path, self._store, self.name).find(left).items():
                    best.add(key, file, read_facts(file))
            left = wanted_files.without(best.files)
            if not left.keys:
                break
        return best.files

    def _found(self, query: Query) -> list[Found]:
        found: dict[str, Found] = {}
        for repository in self._repositories:
            for each in repository.packages(query):
                found.setdefault(each.package.url, each)
        return list(found.values())

    def _fetched(self, batch: Sequence[Found]) -> Iterator[tuple[Found, Path]]:
        """The packages' files; one that cannot be had is told and passed over."""
        paths = self._downloads.packages([each.package for each in batch], _MAX_PACKAGE_SIZE)
        for found, path in zip(batch, paths, strict=True):
            if isinstance(path, WrongDigestError):
                raise InputError(
                    "bad-repository",
                    f"{self.name} is not a usable repository: {path}",
                    "try again later: the mirror may be in the middle of an update; or leave the place out",
                )
            if path is None:
                self._on_warning(f"{self.name}: {found.package.url} is in the index, but not in the repository")
            else:
                yield found, path

    def _is_it(self, candidate: Candidate) -> bool:
        """Whether nothing more need be downloaded for it; the search proves it."""
        build_id = candidate.wanted.build_id
        return build_id is not None and read_facts(candidate.path).build_id == build_id


class _Package(Archive):
    """A package that is not read again for what it does not have."""

    _names: list[str] | None = None

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """See ``Tree``."""
        if self._names is not None and not any(map(wants, self._names)):
            return
        names = []

        def noted(name: str) -> bool:
            names.append(name)
            return wants(name)

        yield from super().members(noted, elf_only=elf_only)
        self._names = names


class _WithSystem:
    """A package, and behind it another one, which is fetched when somebody asks."""

    def __init__(self, package: Tree, others: Iterator[tuple[Tree, Origin]]) -> None:
        self._package = package
        self._others = others

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """See ``Tree``."""
        yield from self._package.members(wants, elf_only=elf_only)
        for other, origin in self._others:
            for member in other.members(wants, elf_only=elf_only):
                yield member._replace(origin=origin)


def _by_name(wanted: Wanted) -> tuple[str, ...]:
    return wanted.names


def _may_help(found: Found, names: Mapping[str, Wanted], left: set[Wanted]) -> bool:
    if found.has is None:  # it was named, and by no index of files
        return any(each.package and each.package[0] == found.package.name for each in left)
    return any(names.get(path) in left for path in found.has)


def _rounds(found: Iterable[Found], hints: frozenset[tuple[str, str]]) -> Iterator[list[Found]]:
    """Of each package name one version at a time: the one that is said to be installed, else as the index has them."""
    versions: dict[str, list[Found]] = {}
    for each in found:
        versions.setdefault(each.package.name, []).append(each)
    for several in versions.values():
        several.sort(key=lambda each: (each.package.name, each.package.version) not in hints)  # it keeps the order
    left = _MAX_PACKAGES
    for number in range(_MAX_VERSIONS):
        batch = [several[number] for several in versions.values() if number < len(several)][:left]
        left -= len(batch)
        if batch:
            yield batch
