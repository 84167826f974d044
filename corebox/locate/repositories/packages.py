"""What a repository says of its packages, whatever its format: who has a path, and where a package is downloaded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol


class Digest(NamedTuple):
    """A SHA-256 in hex, and the size in bytes if that is known."""

    sha256: str
    size: int | None = None


class PackageFile(NamedTuple):
    """One version of a package in a repository.

    Attributes:
        name: of the package.
        version: as the repository writes it.
        url: where its file is.
        digest: of that file; None where the format has another proof of it.
        proof: that other proof, in the format's own words.
        check: whether the file answers the proof.
    """

    name: str
    version: str
    url: str
    digest: Digest | None
    proof: str = ""
    check: Callable[[Path, str], bool] | None = None


class Query(NamedTuple):
    """What is looked for in an index.

    Attributes:
        paths: absolute, as packages may have them, in all spellings.
        build_ids: of debug files, which some indexes have.
        names: of packages that are said to have the files; versions are a hint for whoever downloads.
        machine: as by ``uname -m``.
    """

    paths: frozenset[str]
    build_ids: frozenset[str]
    names: frozenset[str]
    machine: str


class Found(NamedTuple):
    """A package, and which of the paths and build IDs it is said to have; None if it is worth a look without that."""

    package: PackageFile
    has: frozenset[str] | None


class Repository(Protocol):
    """A repository, of whatever format."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    def packages(self, query: Query) -> Sequence[Found]:
        """The packages that may have what is asked for, the likeliest first."""


def spellings(name: str) -> tuple[str, ...]:
    """The absolute name on both sides of a merged ``/usr``: packages may have either."""
    return (name, name.removeprefix("/usr") if name.startswith("/usr/") else f"/usr{name}")


def build_id_links(build_id: str) -> tuple[str, ...]:
    """What packages of Fedora and its kin have a link under to each program and library (``_build_id_links``)."""
    return (f"/usr/lib/.build-id/{build_id[:2]}/{build_id[2:]}",)


def debug_paths(build_id: str) -> tuple[str, ...]:
    """Where distributions put the debug file of a build ID."""
    return (f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug",)
