"""The bill of materials of the toolbox, in CycloneDX: what is in it, from where, under which licence.

It follows from the toolbox's files and where they are from, and from nothing else: no time, nothing random.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypedDict, cast

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from corebox import __version__
from corebox.image.findgdb import Debugger
from corebox.image.packages import Package, find_packages
from corebox.image.parts import TOOLBOX_HOME
from corebox.image.tar import Entry, text_file

#: The file in the toolbox.
SBOM = "share/corebox/sbom.cdx.json"


class _Project(NamedTuple):
    """A program by others or ours; ``files`` matches what the toolbox has of it, ``licence`` is an SPDX expression."""

    name: str
    licence: str | None
    files: str = ""


_PROJECTS = (
    _Project("corebox", "Apache-2.0", r"share/(corebox|licenses)/.*|versions\.json|lib/gconv/gconv-modules"),
    _Project("gdb", "GPL-3.0-or-later", r"bin/gdb|share/gdb/.*"),
    _Project("cpython", "PSF-2.0", r"python/.*|lib/libpython.*"),
    _Project("ncurses", "X11-distribute-modifications-variant", r"share/terminfo/.*|lib/lib(ncurses|tinfo|panel).*"),
    _Project("gcc", "GPL-3.0-or-later WITH GCC-exception-3.1", r"lib/lib(gcc_s|stdc\+\+)\..*"),
    _Project("libstdc++-printers", "GPL-3.0-or-later", r"share/libstdcxx/.*"),
    # With what its wheel brings along, elfutils and zstd, whose names auditwheel gave a digest.
    _Project(
        "pystack",
        "Apache-2.0 AND (GPL-2.0-or-later OR LGPL-3.0-or-later) AND BSD-3-Clause",
        r"share/pystack/.*|lib/lib\w+(-\d+)?-[0-9a-f]{8}\..*",
    ),
    _Project("libffi", "MIT", r"lib/libffi\..*"),
    _Project("expat", "MIT", r"lib/libexpat\..*"),
    _Project("zlib", "Zlib", r"lib/libz\..*"),
    _Project("bzip2", "bzip2-1.0.6", r"lib/libbz2\..*"),
    _Project("xz", "LicenseRef-scancode-public-domain", r"lib/liblzma\..*"),
    _Project(
        "glibc",
        "LGPL-2.1-or-later",
        r"lib/(gconv|locale)/.*|lib/(ld[-6].*|lib(c|m|dl|pthread|rt|util|mvec|resolv|nsl|anl)\.so.*)",
    ),
)


def describe_toolbox(members: Iterable[Entry], debugger: Debugger) -> Entry:
    """The bill of materials as one more member: a component for each program, and in it each of its files."""
    files = {each.path.removeprefix(f"{TOOLBOX_HOME}/"): each for each in members if each.source is not None}
    owners = find_packages(each.source for each in files.values() if isinstance(each.source, Path))
    groups: dict[_Project, dict[str, Package | None]] = {}
    for path in sorted(files):
        source = files[path].source
        package = owners.get(source) if isinstance(source, Path) else None
        groups.setdefault(_project_of(path, package), {})[path] = package
    components = [
        Component(
            name=project.name,
            bom_ref=project.name,
            licenses=[LicenseExpression(project.licence)] if project.licence else [],
            components=[_file(path, files[path]) for path in paths],
            **_origin(project, next(filter(None, paths.values()), None), debugger),
        )
        for project, paths in groups.items()
    ]
    return text_file(f"{TOOLBOX_HOME}/{SBOM}", _format(components))


def _project_of(path: str, package: Package | None) -> _Project:
    """Whose file this is; a library that we do not know bears the name of its package, else its own."""
    known = next((each for each in _PROJECTS if re.fullmatch(each.files, path)), None)
    return known or _Project(package.name if package else path.rpartition("/")[2].partition(".so")[0], None)


class _Origin(TypedDict):
    version: str | None
    purl: PackageURL


def _origin(project: _Project, package: Package | None, debugger: Debugger) -> _Origin:
    """Version and package URL: the distribution's if it has the file, for its advisories are about these."""
    if package:
        source = {"deb": "source", "rpm": "src"}[package.family]
        qualifiers = {"arch": source, "distro": f"{package.distribution}-{package.release}"}
        where = (package.family, package.distribution, package.name, package.version)
        return {"version": package.version, "purl": PackageURL(*where, qualifiers=qualifiers)}
    version = {**debugger.versions(), "cpython": debugger.python_version}.get(project.name)
    wheel = {"gdb": "gdb-for-pwndbg" if debugger.from_pypi else None, "pystack": "pystack"}.get(project.name)
    if wheel:
        return {"version": version, "purl": PackageURL("pypi", None, wheel, version)}
    return {"version": version, "purl": PackageURL("generic", None, project.name, version)}


def _file(path: str, entry: Entry) -> Component:
    data = entry.source if isinstance(entry.source, bytes) else cast("Path", entry.source).read_bytes()
    digest = HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(data).hexdigest())
    return Component(name=path, bom_ref=path, type=ComponentType.FILE, hashes=[digest])


def _format(components: list[Component]) -> bytes:
    """The document: its number follows from its content, and the time that the library notes goes."""
    toolbox = Component(name="corebox-toolbox", bom_ref="corebox-toolbox", version=__version__)
    bom = Bom(components=components, metadata=BomMetaData(component=toolbox), serial_number=uuid.UUID(int=0))
    bom.register_dependency(toolbox, components)
    document = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    del document["metadata"]["timestamp"]
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, content).urn
    return json.dumps(document, sort_keys=True, indent=1).encode("ascii")
