"""Whose files these are, as the package databases beneath a root say: they are read as data, and nothing is run."""

from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from corebox.files.diskroot import DiskRoot
from corebox.files.extents import read_at

#: Of one file of a database; the largest of real systems have a tenth of that.
MAX_SIZE = 64 << 20
#: Merged into /usr on most systems, while packages still name their files as before (file-hierarchy(7)).
_MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


class Owner(NamedTuple):
    """A package that has a file of this name, and the digest, in hex, of the file as it was installed."""

    manager: str
    package: str
    version: str
    algorithm: str
    digest: str


#: Gives name and owner for those of the names that a database of its kind beneath the root has.
ReadOwners = Callable[[DiskRoot, "frozenset[str]"], Iterator[Tuple[str, Owner]]]


class UnreadableError(Exception):
    """A database is there, and cannot be read; says why."""


class Owners(NamedTuple):
    """The owners of each path that has any, and what could not be read."""

    of: Dict[str, List[Owner]]
    problems: Tuple[str, ...]


def find_owners(root: DiskRoot, paths: Iterable[str]) -> Owners:
    """Whose the files at these canonical paths are."""
    from corebox.gather.apkdb import apk_owners  # noqa: PLC0415  # each imports this module
    from corebox.gather.dpkgdb import dpkg_owners  # noqa: PLC0415
    from corebox.gather.rpmdb import rpm_owners  # noqa: PLC0415

    names = {name: path for path in paths for name in _spellings(root, path)}
    owners: Dict[str, List[Owner]] = {}
    problems = []
    readers: List[ReadOwners] = [dpkg_owners, apk_owners, rpm_owners]
    for read in readers:
        try:
            for name, owner in read(root, frozenset(names)):
                owners.setdefault(names[name], []).append(owner)
        except UnreadableError as error:  # noqa: PERF203 -- three times
            problems.append(str(error))
    return Owners(owners, tuple(problems))


def _spellings(root: DiskRoot, path: str) -> Iterator[str]:
    """The path, and the one that a package from before the merge of ``/usr`` has for it."""
    yield path
    for folder in _MERGED:
        if path.startswith("/usr" + folder + "/") and root.read_link(folder) in ("usr" + folder, "/usr" + folder):
            yield path[len("/usr") :]


def read_database(root: DiskRoot, path: str, most: int = MAX_SIZE) -> Optional[bytes]:
    """The file of a database; None if it is not there.

    Raises:
        UnreadableError: it is larger than any.
    """
    file = root.find(path).file
    if file is None:
        return None
    if file.status.size > most:
        raise UnreadableError("{} is larger than {} bytes".format(path, most))
    data = read_at(file.fileno(), 0, most)
    file.close()  # there may be thousands
    return data


def text_of(data: bytes) -> str:
    """What a database calls something, as text."""
    return data.decode("utf-8", "replace")
