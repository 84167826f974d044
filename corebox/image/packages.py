"""Which package of the machine's distribution a file is from."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_OWNED = re.compile(r"^(?!diversion by )([^\s,]+)(?:, \S+)*: (/.+)$", re.MULTILINE)
_SOURCE = re.compile(r"(?P<name>.+)-(?P<version>[^-]+-[^-]+)\.(no)?src\.rpm")


class Package(NamedTuple):
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
    """The source package of each path that belongs to one; nothing where there is neither dpkg nor rpm."""
    names = {path: list(_spellings(path)) for path in paths}
    asked = sorted({name for each in names.values() for name in each})
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return {}
    owners = {**_rpm(asked, release), **_dpkg(asked, release)}
    found = {path: [owners[name] for name in each if name in owners] for path, each in names.items()}
    return {path: each[0] for path, each in found.items() if each}


def _spellings(path: Path) -> Iterator[str]:
    """As a package manager may know it: as the package ships it, in or beside a merged ``/usr`` (file-hierarchy(7))."""
    for each in (str(path), os.path.realpath(path)):
        yield from (each, "/usr" + each, each.removeprefix("/usr"))


def _dpkg(paths: Sequence[str], release: Mapping[str, str]) -> Mapping[str, Package]:
    """The source packages of those paths that dpkg knows."""
    owners = {path: package for package, path in _OWNED.findall(_run("dpkg-query", "--search", "--", *paths))}
    layout = "${binary:Package}\t${source:Package}\t${source:Version}\n"
    lines = _run("dpkg-query", "--show", f"--showformat={layout}", "--", *sorted(set(owners.values()))).splitlines()
    where = ("deb", release["ID"], release.get("VERSION_ID", ""))
    sources = {binary: Package(source, version, *where) for binary, source, version in map(_columns, lines)}
    return {path: sources[package] for path, package in owners.items() if package in sources}


def _rpm(paths: Sequence[str], release: Mapping[str, str]) -> Mapping[str, Package]:
    """The source packages of the files of all packages that have one of the paths (rpm(8), "--queryformat")."""
    names = _run("rpm", "--query", "--file", "--queryformat", r"%{NAME}\n", "--", *paths).splitlines()
    packages = sorted({name for name in names if " " not in name})  # "file /x is not owned by any package"
    if not packages:
        return {}
    lines = _run("rpm", "--query", "--queryformat", r"[%{FILENAMES}\t%{=SOURCERPM}\n]", "--", *packages).splitlines()
    found = {path: _SOURCE.fullmatch(source) for path, source in map(_columns, lines)}
    where = ("rpm", release["ID"], release.get("VERSION_ID", ""))
    return {path: Package(match["name"], match["version"], *where) for path, match in found.items() if match}


def _columns(line: str) -> list[str]:
    return line.split("\t")


def _run(*command: str) -> str:
    """What a program prints; nothing if it is not there. That it fails for some of its arguments does not matter."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"}
        )
    except OSError:
        return ""
    return done.stdout
