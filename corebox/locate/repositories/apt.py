"""Repositories of apt: a signed list of indexes (InRelease), packages (Packages), and who has a path (Contents).

The format is that of https://wiki.debian.org/DebianRepository/Format.
"""

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urljoin

from corebox.locate.repositories.decompress import bad_repository, blocks_of_lines, pieces
from corebox.locate.repositories.download import Downloads, WrongDigestError
from corebox.locate.repositories.packages import Digest, Found, PackageFile, Query
from corebox.locate.repositories.signature import signed_text
from corebox.store.store import Store

_MAX_RELEASE_SIZE, _MAX_INDEX_SIZE = 16 << 20, 512 << 20
_MAX_INDEXES = 20000
#: Debian's names of processors (dpkg's cputable).
_ARCHITECTURES = {
    "x86_64": "amd64", "aarch64": "arm64", "i386": "i386", "i686": "i386", "arm": "armhf", "armv7l": "armhf",
    "ppc64le": "ppc64el", "ppc64": "ppc64", "ppc": "powerpc", "s390x": "s390x", "riscv64": "riscv64",
    "loongarch64": "loong64", "mips64": "mips64el", "mips": "mipsel",
}  # fmt: skip
#: No program or library is there; this is three quarters of a list of contents.
_SEARCHED = re.compile(rb"^(?!usr/(?:share|include|src)/|etc/|boot/|(?:usr/)?lib/modules/).+$", re.MULTILINE)
_HASH = re.compile(r"[0-9a-f]{64}")
_FIELDS = ("Package", "Version", "Filename", "SHA256", "Size", "Build-Ids")
_FIELD = re.compile(rb"^(Package|Version|Filename|SHA256|Size|Build-Ids): (.*)$", re.MULTILINE)
_FORMATS = (".xz", ".gz", "")
_SEPARATOR, _END = b"\x1f", b"\0"


class Suite(NamedTuple):
    """Where a suite is: the folder with InRelease, the one that file names of packages begin at, the keys.

    ``optional`` ones may be missing.
    """

    url: str
    base: str
    keyrings: tuple[Path, ...]
    optional: bool = False


class AptRepository:
    """One suite of an apt repository.

    Args:
        name: what the user calls it.
        suite: where it is.
        store: for what is made of indexes.
        downloads: fetches them.
        on_warning: gets a line for what the user should know.
    """

    def __init__(
        self, name: str, suite: Suite, store: Store, downloads: Downloads, on_warning: Callable[[str], None]
    ) -> None:
        self.name = name
        self._suite = suite
        self._store = store
        self._downloads = downloads
        self._on_warning = on_warning
        self._release: _Release | None = None

    def is_there(self) -> bool:
        """Whether the server has such a repository there."""
        return self._opened() is not None

    def packages(self, query: Query) -> Sequence[Found]:
        """See ``Repository``.

        Raises:
            InputError: ``bad-repository``, ``bad-signature``.
            HostError: ``repository-unreachable``, ``no-gpgv``.
        """
        architecture = _ARCHITECTURES.get(query.machine)
        release = self._opened()
        if release is None or architecture is None:
            return ()
        owners: dict[str, set[str]] = {}
        for path, names in self._contents(release, architecture, query.paths):
            for name in names:
                owners.setdefault(name, set()).add(path)
        found = []
        for entry, build_ids in self._listed(release, architecture, query, frozenset(owners) | query.names):
            has = frozenset(owners.get(entry.name, ())) | (build_ids & query.build_ids)
            found.append(Found(entry, has or None))
        return found

    def _opened(self) -> "_Release | None":
        if self._release is None:
            url = f"{self._suite.url}/InRelease"
            path = self._downloads.latest(url, _MAX_RELEASE_SIZE)
            if path is None:
                if self._suite.optional:
                    return None
                raise bad_repository(f"there is no signed index {url}")
            self._release = _parse_release(signed_text(path, self._suite.keyrings))
        return self._release

    def _index(self, release: "_Release", name: str) -> Path | None:
        """The index of this name, in the smallest of its forms; None if the suite has none."""
        for suffix in _FORMATS:
            digest = release.files.get(name + suffix)
            if digest is None:
                continue
            by_hash = [self._by_hash(name, digest)] if release.by_hash else []
            places = [*by_hash, f"{self._suite.url}/{name}{suffix}"]
            for place in places:
                path = self._downloads.exact(place, digest, _MAX_INDEX_SIZE)
                if path is not None:
                    return path
        return None

    def _contents(
        self, release: "_Release", architecture: str, paths: frozenset[str]
    ) -> Iterator[tuple[str, Sequence[str]]]:
        """Which packages have the paths, by name."""
        wanted = {path[1:].encode("utf-8", "surrogateescape"): path for path in paths}
        keys = frozenset(wanted)
        for name in (*(f"{each}/Contents-{architecture}" for each in release.components), f"Contents-{architecture}"):
            if not wanted or not any(name + suffix in release.files for suffix in _FORMATS):
                continue
            for files, packages in self._pairs_of_contents(release, name):
                if not keys.isdisjoint(files):
                    for file, owners in zip(files, packages, strict=False):
                        if file in keys:
                            # Each with its section: "libs/libc6", of other components "non-free/libs/...".
                            several = owners.decode("utf-8", "replace").split(",")
                            yield wanted[file], [each.rpartition("/")[2] for each in several]

    def _pairs_of_contents(self, release: "_Release", name: str) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """The files of the list in blocks, and the packages of each."""
        digest = next(release.files[name + suffix] for suffix in _FORMATS if name + suffix in release.files)
        kept = self._store.cached(f"repositories/contents-1/{digest.sha256}")
        if not kept.exists():
            path = self._contents_index(release, name)
            if path is None:
                return
            self._keep(kept, (_columns(block) for block in blocks_of_lines(path)))
        data = b""
        for piece in pieces(kept):
            *columns, data = (data + piece).split(_END)
            if len(columns) % 2:
                data = columns.pop() + _END + data
            for files, packages in zip(columns[::2], columns[1::2], strict=True):
                yield files.split(b"\n"), packages.split(b"\n")

    def _contents_index(self, release: "_Release", name: str) -> Path | None:
        """The list of contents: a mirror may have one of another day, which is as good.

        It only says into which package to look; the package itself is checked, and its files are proved by the core.
        """
        suffix = next(suffix for suffix in _FORMATS if name + suffix in release.files)
        digest = release.files[name + suffix]
        if release.by_hash:
            path = self._downloads.exact(self._by_hash(name, digest), digest, _MAX_INDEX_SIZE)
            if path is not None:
                return path
        return self._downloads.latest(f"{self._suite.url}/{name}{suffix}", _MAX_INDEX_SIZE)

    def _by_hash(self, name: str, digest: Digest) -> str:
        folder = name.rpartition("/")[0]
        return "/".join(part for part in (self._suite.url, folder, "by-hash/SHA256", digest.sha256) if part)

    def _keep(self, kept: Path, blocks: Iterator[bytes]) -> None:
        """Write what was made of an index into the cache."""
        with self._store.workplace() as work:
            compressor = zlib.compressobj(1, wbits=31)
            with (work / "made").open("wb") as out:
                for block in blocks:
                    out.write(compressor.compress(block))
                out.write(compressor.flush())
            self._store.cache(str(kept.relative_to(self._store.cached("."))), work / "made")

    def _listed(
        self, release: "_Release", architecture: str, query: Query, names: frozenset[str]
    ) -> Iterator[tuple[PackageFile, frozenset[str]]]:
        """The packages of these names, and those with the build IDs, with what they say of build IDs."""
        wanted = {name.encode() for name in names}
        for component in release.components:
            name = f"{component}/binary-{architecture}/Packages"
            yield from self._packages(release, name, wanted, query.build_ids)
        if not release.components:  # a flat repository
            yield from self._packages(release, "Packages", wanted, query.build_ids)

    def _packages(
        self, release: "_Release", name: str, names: set[bytes], build_ids: frozenset[str]
    ) -> Iterator[tuple[PackageFile, frozenset[str]]]:
        for own, version, file, sha256, size, ids in self._rows(release, name):
            has = frozenset(ids.decode("ascii", "replace").split()) if ids and build_ids else frozenset()
            if own in names or not has.isdisjoint(build_ids):
                yield self._package(own, version, file, sha256, size), has

    def _package(self, name: bytes, version: bytes, file: bytes, sha256: bytes, size: bytes) -> PackageFile:
        text = sha256.decode("ascii", "replace")
        if not _HASH.fullmatch(text) or not size.isdigit() or len(size) > 12:
            raise bad_repository(f"{self.name} has a package without digest or size")
        url = urljoin(f"{self._suite.base}/", quote(file.decode("utf-8", "replace"), safe="/+~:"))
        if not url.startswith(f"{self._suite.base}/"):
            raise bad_repository(f"{self.name} has a package elsewhere: {url:.200}")
        digest = Digest(text, int(size))
        return PackageFile(name.decode("utf-8", "replace"), version.decode("utf-8", "replace"), url, digest)

    def _rows(self, release: "_Release", name: str) -> Iterator[Sequence[bytes]]:
        digest = next((release.files[name + suffix] for suffix in _FORMATS if name + suffix in release.files), None)
        if digest is None:
            return
        kept = self._store.cached(f"repositories/packages-1/{digest.sha256}")
        if not kept.exists():
            try:
                path = self._index(release, name)
            except WrongDigestError as error:
                raise bad_repository(f"{error}; the mirror may be in the middle of an update") from error
            if path is None:
                return
            self._keep(kept, (_row(stanza) for stanza in _stanzas(path)))
        for block in blocks_of_lines(kept):
            for line in block.split(b"\n"):
                row = line.split(_SEPARATOR)
                if len(row) == len(_FIELDS):
                    yield row


class _Release(NamedTuple):
    """What a signed index says: components, digests of files, and whether they are also by digest."""

    components: tuple[str, ...]
    files: Mapping[str, Digest]
    by_hash: bool


def _parse_release(text: bytes) -> _Release:
    fields: dict[str, str] = {}
    files: dict[str, Digest] = {}
    section = ""
    for line in text.decode("utf-8", "replace").splitlines():
        if not line.startswith(" "):
            section, _, value = line.partition(":")
            fields[section] = value.strip()
        elif section == "SHA256" and len(files) < _MAX_INDEXES:
            words = line.split()
            if len(words) == 3 and _HASH.fullmatch(words[0]) and words[1].isdigit() and ".." not in words[2]:
                files[words[2]] = Digest(words[0], int(words[1][:15]))
    # Debian's security archive says "updates/main", and has the folder "main".
    components = tuple(each.rpartition("/")[2] for each in fields.get("Components", "").split())[:32]
    there = tuple(dict.fromkeys(each for each in components if any(name.startswith(f"{each}/") for name in files)))
    return _Release(there, files, fields.get("Acquire-By-Hash") == "yes")


def _columns(block: bytes) -> bytes:
    """A part of a list of contents: all files, then their packages, so that a set finds what is in it at once."""
    rows = [row for line in _SEARCHED.findall(block) if len(row := line.rsplit(None, 1)) > 1]
    return b"\n".join(row[0] for row in rows) + _END + b"\n".join(row[1] for row in rows) + _END


def _stanzas(path: Path) -> Iterator[bytes]:
    kept = b""
    for block in chain(blocks_of_lines(path), (b"\n\n",)):
        whole, end, rest = (kept + block).rpartition(b"\n\n")
        if end:
            yield from whole.split(b"\n\n")
        kept = rest if end else kept + block
        if len(kept) > _MAX_RELEASE_SIZE:
            raise bad_repository("a package has an endless description")


def _row(stanza: bytes) -> bytes:
    fields = {name.decode(): value for name, value in _FIELD.findall(stanza)}
    return _SEPARATOR.join(fields.get(name, b"").replace(_SEPARATOR, b"") for name in _FIELDS) + b"\n"
