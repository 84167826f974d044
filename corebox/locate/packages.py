"""What a package says that it is: name and version, read as data."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_MAX_LENGTH = 200
_RPM_LEAD = b"\xed\xab\xee\xdb"
_FIELD = re.compile(rb"(?m)^(Package|Version|pkgname|pkgver)\s*[:=]\s*(\S{1,200})\s*$")
#: NAME-VERSION(-BUILD)?-PYTHON-ABI-PLATFORM.whl (the packaging specification, "Binary distribution format").
_WHEEL = re.compile(r"([^-]+)-([^-]+)(?:-[^-]+)?-[^-]+-[^-]+-[^-]+\.whl")


class Package(NamedTuple):
    """Name and version, None where it does not say."""

    name: str | None
    version: str | None


def read_package(path: Path, control: Callable[[str], bytes]) -> Package | None:
    """What the package at ``path`` says; None for what is no package.

    ``control`` reads the member of a name, the control file of a Debian package among them.
    """
    with path.open("rb") as file:
        start = file.read(96)
    if start.startswith(_RPM_LEAD):
        # rpm's lead: magic, version, type, architecture, then name-version-release, ended by NUL.
        name, _, release = start[10:76].split(b"\0", 1)[0].decode("utf-8", "replace").rpartition("-")
        name, _, version = name.rpartition("-")
        return Package(name or None, f"{version}-{release}" if version else None)
    wheel = _WHEEL.fullmatch(path.name)
    if wheel:
        return Package(wheel[1], wheel[2])
    member = "/control" if start.startswith(b"!<arch>\n") else "/.PKGINFO" if path.suffix == ".apk" else None
    return _fields(control(member)) if member else None


def _fields(text: bytes) -> Package:
    found = {
        name.decode().lower(): value.decode("utf-8", "replace")[:_MAX_LENGTH] for name, value in _FIELD.findall(text)
    }
    return Package(found.get("package") or found.get("pkgname"), found.get("version") or found.get("pkgver"))
