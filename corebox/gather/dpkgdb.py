"""The database of dpkg: ``status`` and the lists of MD5 sums of Debian and Ubuntu (dpkg(1), deb-md5sums(5))."""

import re
from typing import Dict, FrozenSet, Iterator, NamedTuple, Optional, Tuple

from corebox.files.diskroot import DiskRoot
from corebox.gather.packagedb import MAX_SIZE, Owner, UnreadableError, read_database, text_of

_STATUS = "/var/lib/dpkg/status"
_INFO = "/var/lib/dpkg/info"
#: Images without dpkg ("distroless") have one file of each kind for each package.
_FOLDER = "/var/lib/dpkg/status.d"
_SUMS = ".md5sums"
_MAX_PACKAGES = 50000
_MAX_LIST_SIZE = 16 << 20
_MAX_ALL_SIZE = 512 << 20
_SUM = re.compile(rb"[0-9a-f]{32}\Z")


class _Package(NamedTuple):
    name: str
    version: str


def dpkg_owners(root: DiskRoot, names: FrozenSet[str]) -> Iterator[Tuple[str, Owner]]:
    """Name and owner of those of ``names`` that an installed package has.

    Raises:
        UnreadableError: the database is larger than any.
    """
    wanted = {name[1:].encode("utf-8", "surrogateescape"): name for name in names}
    left = _MAX_ALL_SIZE
    for path, package in _lists(root):
        data = read_database(root, path, _MAX_LIST_SIZE) or b""
        left -= len(data)
        if left < 0:
            raise UnreadableError("the lists in {} are larger than {} bytes".format(_INFO, _MAX_ALL_SIZE))
        for name, digest in _sums(data):
            if name in wanted:
                yield wanted[name], Owner("dpkg", package.name, package.version, "md5", digest)


def _sums(data: bytes) -> Iterator[Tuple[bytes, str]]:
    for line in data.splitlines():
        digest, _, name = line.partition(b"  ")
        if _SUM.match(digest):
            yield (name[2:] if name.startswith(b"./") else name), digest.decode("ascii")


def _lists(root: DiskRoot) -> Iterator[Tuple[str, _Package]]:
    """The lists of sums, and the package of each."""
    packages = _parse_status(read_database(root, _STATUS) or b"")
    if packages:
        for name in root.names_in(_INFO, 16 * _MAX_PACKAGES):
            package = packages.get(name[: -len(_SUMS)]) if name.endswith(_SUMS) else None
            if package:
                yield _INFO + "/" + name, package
    for name in root.names_in(_FOLDER, _MAX_PACKAGES):
        if not name.endswith(_SUMS):
            for package in set(_parse_status(read_database(root, _FOLDER + "/" + name, MAX_SIZE) or b"").values()):
                yield _FOLDER + "/" + name + _SUMS, package


def _parse_status(data: bytes) -> Dict[str, _Package]:
    """The installed packages by the names that their lists have: ``NAME`` or ``NAME:ARCHITECTURE``."""
    packages: Dict[str, _Package] = {}
    for stanza in data.split(b"\n\n"):
        fields = _fields(stanza)
        name, version = fields.get(b"Package"), fields.get(b"Version")
        if name is None or version is None or not _is_installed(fields.get(b"Status")):
            continue
        package = _Package(text_of(name), text_of(version))
        architecture = fields.get(b"Architecture", b"")
        key = name + b":" + architecture if fields.get(b"Multi-Arch") == b"same" else name
        packages[text_of(key)] = package
        packages.setdefault(package.name, package)
        if len(packages) > 2 * _MAX_PACKAGES:
            raise UnreadableError("{} has more than {} packages".format(_STATUS, _MAX_PACKAGES))
    return packages


def _is_installed(status: Optional[bytes]) -> bool:
    """What has no status is of an image without dpkg."""
    return status is None or status.split()[-1:] == [b"installed"]


def _fields(stanza: bytes) -> Dict[bytes, bytes]:
    fields = {}
    for line in stanza.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and name[:1] not in (b" ", b"\t"):
            fields[name] = value.strip()
    return fields
