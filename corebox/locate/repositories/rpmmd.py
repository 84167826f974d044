"""Repositories of rpm ("rpm-md", by createrepo): repomd.xml, the packages (primary), and who has a path (filelists).

Their XML is read in a stream, and what declares a document type of its own is refused: entities can be without end.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urljoin
from xml.parsers import expat

from corebox.locate.repositories.decompress import bad_repository, pieces
from corebox.locate.repositories.download import Downloads, WrongDigestError
from corebox.locate.repositories.packages import Digest, Found, PackageFile, Query
from corebox.locate.repositories.signature import keyrings, verify_detached

_MAX_LIST_SIZE, _MAX_INDEX_SIZE = 4 << 20, 1 << 30
_MAX_TEXT_LENGTH = 1 << 16
_MAX_FOUND = 10000
_NEUTRAL = "noarch"
_MACHINES = {"i386": ("i386", "i486", "i586", "i686"), "arm": ("armv7hl", "armv6hl"), "ppc": ("ppc",)}
#: Of checksums of packages, as Python calls them; older repositories have "sha" for SHA-1.
_ALGORITHMS = {"sha": "sha1", "sha1": "sha1", "sha224": "sha224", "sha384": "sha384", "sha512": "sha512"}


class RpmRepository:
    """One rpm-md repository.

    Args:
        name: what the user calls it.
        url: the folder that has ``repodata``.
        downloads: fetches its indexes.
        on_warning: gets a line for what the user should know.
    """

    def __init__(self, name: str, url: str, downloads: Downloads, on_warning: Callable[[str], None]) -> None:
        self.name = name
        self._url = url
        self._downloads = downloads
        self._on_warning = on_warning
        self._indexes: Mapping[str, _Index] | None = None

    def is_there(self) -> bool:
        """Whether the server has such a repository there."""
        return bool(self._opened())

    def packages(self, query: Query) -> Sequence[Found]:
        """See ``Repository``.

        Raises:
            InputError: ``bad-repository``, ``bad-signature``.
            HostError: ``repository-unreachable``, ``no-gpgv``.
        """
        has: dict[str, set[str]] = {}
        if query.paths:
            for package, path in _paths(self._index("filelists"), query.paths):
                has.setdefault(package, set()).add(path)
                if len(has) > _MAX_FOUND:
                    raise bad_repository(f"{self.name} has one file in more than {_MAX_FOUND} packages")
        machines = (*_MACHINES.get(query.machine, (query.machine,)), _NEUTRAL)
        found = []
        for each in _packages(self._index("primary")):
            if each.machine in machines and (each.digest in has or each.name in query.names):
                paths = has.get(each.digest)
                found.append(Found(self._package(each), frozenset(paths) if paths else None))
        return found[::-1]  # the later in the list is the newer, as a rule

    def _package(self, package: "_Package") -> PackageFile:
        base = package.base.rstrip("/") or self._url
        url = urljoin(f"{base}/", quote(package.place, safe="/+~:^"))
        if not url.startswith(f"{base}/"):
            raise bad_repository(f"{self.name} has a package elsewhere: {url:.200}")
        if package.algorithm == "sha256":
            return PackageFile(package.name, package.version, url, Digest(package.digest))
        return PackageFile(package.name, package.version, url, None, f"{package.algorithm}:{package.digest}", _answers)

    def _opened(self) -> "Mapping[str, _Index]":
        if self._indexes is None:
            url = f"{self._url}/repodata/repomd.xml"
            path = self._downloads.latest(url, _MAX_LIST_SIZE)
            if path is None:
                return {}
            self._verify(url, path)
            self._indexes = _parse_list(path)
        return self._indexes

    def _verify(self, url: str, path: Path) -> None:
        """Check the signature if there is one; many repositories sign their packages alone."""
        signature = self._downloads.latest(f"{url}.asc", _MAX_LIST_SIZE)
        if signature is None:
            self._on_warning(f"{self.name}: its index is not signed; the core proves each file that is taken")
            return
        verify_detached(signature, path, keyrings())

    def _index(self, kind: str) -> Path:
        index = self._opened().get(kind)
        if index is None:
            raise bad_repository(f"{self.name} has no list {kind}")
        url = urljoin(f"{self._url}/", index.place)
        try:
            path = (
                self._downloads.exact(url, index.digest, _MAX_INDEX_SIZE) if url.startswith(f"{self._url}/") else None
            )
        except WrongDigestError as error:
            raise bad_repository(f"{error}; the mirror may be in the middle of an update") from error
        if path is None:
            raise bad_repository(f"{self.name} has no list {kind} at {url:.200}")
        return path


class _Index(NamedTuple):
    place: str
    digest: Digest


class _Package(NamedTuple):
    name: str
    machine: str
    version: str
    digest: str
    algorithm: str
    place: str
    base: str


class _Event(NamedTuple):
    """The end of an element: its name without namespace, its attributes, and the text in it."""

    name: str
    attributes: Mapping[str, str]
    text: str


def _events(path: Path) -> Iterator[_Event]:
    """The elements of an XML file as they end.

    Raises:
        InputError: ``bad-repository``.
    """
    ended: list[_Event] = []
    opened: list[tuple[str, Mapping[str, str]]] = []
    text: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(opened) > 32:
            raise bad_repository("its XML is nested too deeply")
        opened.append((name.rpartition(":")[2], attributes))
        text.clear()

    def end(_: str) -> None:
        ended.append(_Event(*opened.pop(), "".join(text)))
        text.clear()

    def data(piece: str) -> None:
        text.append(piece)
        if sum(map(len, text)) > _MAX_TEXT_LENGTH:
            text.clear()  # a description; no name is as long

    def refuse(*_: object) -> None:
        raise bad_repository("its XML declares a document type")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = data, refuse
    try:
        for piece in pieces(path):
            parser.Parse(piece, False)
            yield from ended
            ended.clear()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise bad_repository(f"its XML is damaged: {error}") from error
    yield from ended


def _parse_list(path: Path) -> Mapping[str, _Index]:
    indexes: dict[str, _Index] = {}
    place = digest = ""
    for event in _events(path):
        if event.name == "location":
            place = event.attributes.get("href", "")
        elif event.name == "checksum":
            digest = event.text if event.attributes.get("type") == "sha256" else ""
        elif event.name == "data":
            if place and digest:
                indexes[event.attributes.get("type", "")] = _Index(place, Digest(digest))
            place = digest = ""
    return indexes


def _paths(path: Path, wanted: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Digest of the package, and path, of those that are wanted."""
    found: list[str] = []
    for event in _events(path):
        if event.name == "file" and event.text in wanted:
            found.append(event.text)
        elif event.name == "package":
            yield from ((event.attributes.get("pkgid", ""), each) for each in found)
            found = []


def _packages(path: Path) -> Iterator[_Package]:
    fields: dict[str, str] = {}
    for event in _events(path):
        if event.name in ("name", "arch"):
            fields[event.name] = event.text
        elif event.name == "version":
            epoch = event.attributes.get("epoch", "0")
            version = f"{event.attributes.get('ver', '')}-{event.attributes.get('rel', '')}"
            fields["version"] = version if epoch == "0" else f"{epoch}:{version}"
        elif event.name == "checksum":
            fields |= {"digest": event.text, "algorithm": event.attributes.get("type", "")}
        elif event.name == "location":
            fields |= {"place": event.attributes.get("href", ""), "base": event.attributes.get("xml:base", "")}
        elif event.name == "package":
            if _complete(fields):
                keys = ("name", "arch", "version", "digest", "algorithm", "place", "base")
                yield _Package(*(fields[key] for key in keys))
            fields = {}


def _complete(fields: Iterable[str]) -> bool:
    return {"name", "arch", "version", "digest", "algorithm", "place", "base"} <= set(fields)


def _answers(path: Path, proof: str) -> bool:
    """Whether the file has a digest of the older or the newer kinds."""
    kind, _, digest = proof.partition(":")
    algorithm = _ALGORITHMS.get(kind)
    if algorithm is None:
        return False
    found = hashlib.new(algorithm)
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest() == digest
