"""Which package of the machine's distribution a file is from."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_OWNED = re.compile(r"^(?!diversion by )([^\s,]+)(?:, \S+)*: (/.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """A source package of a distribution, which has its advisories.

    Attributes:
        family: kind of its packages, as in package URLs.
        distribution: its ID, e.g. ``debian``; ``release`` that of its release, e.g. ``12``.
    """

    name: str
    version: str
    family: str
    distribution: str
    release: str


def find_packages(paths: Iterable[Path]) -> dict[Path, Package]:
    """The source package of each path that belongs to one; nothing where there is no dpkg."""
    names = {path: list(_spellings(path)) for path in paths}
    asked = sorted({name for each in names.values() for name in each})
    owners = {path: package for package, path in _OWNED.findall(_run("dpkg-query", "--search", "--", *asked))}
    sources = _sources(set(owners.values()))
    found = {
        path: [sources[owners[name]] for name in each if owners.get(name) in sources] for path, each in names.items()
    }
    return {path: each[0] for path, each in found.items() if each}


def _spellings(path: Path) -> Iterator[str]:
    """As dpkg may know it: it records what a package ships, in or beside a merged ``/usr`` (file-hierarchy(7))."""
    for each in (str(path), os.path.realpath(path)):
        yield from (each, "/usr" + each, each.removeprefix("/usr"))


def _sources(packages: set[str]) -> Mapping[str, Package]:
    """Source package of each binary package."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return {}
    layout = "${binary:Package}\t${source:Package}\t${source:Version}\n"
    lines = _run("dpkg-query", "--show", f"--showformat={layout}", "--", *sorted(packages)).splitlines()
    rows = [line.split("\t") for line in lines]
    where = ("deb", release["ID"], release.get("VERSION_ID", ""))
    return {binary: Package(source, version, *where) for binary, source, version in rows}


def _run(*command: str) -> str:
    """What a program prints; nothing if it is not there. That it fails for some of its arguments does not matter."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"}
        )
    except OSError:
        return ""
    return done.stdout
