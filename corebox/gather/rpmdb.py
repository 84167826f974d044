"""The database of rpm where it is one of SQLite, as it has been since rpm 4.16 (Fedora 33, RHEL 9, openSUSE's is not).

Headers of packages are in the format of rpm's files: an index of 16 bytes an entry, then the values (rpm-format(7)).
"""

import os
import struct
import tempfile
from typing import Any, FrozenSet, Iterator, List, NamedTuple, Set, Tuple

from corebox.files.diskroot import DiskRoot
from corebox.files.temporary import temporary_directory
from corebox.gather.packagedb import Owner, UnreadableError, text_of

_FOLDERS = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
_DATABASE = "rpmdb.sqlite"
#: Of earlier versions and of other systems: Berkeley DB, and rpm's own "ndb".
_OTHERS = ("Packages", "Packages.db")
_MAX_SIZE = 2 << 30
_MAX_HEADER_SIZE = 64 << 20
_MAX_ENTRIES = 1 << 16
_MAX_FILES = 1 << 20
_STEPS = 200000  # of SQLite's machine, between two looks at how many there were
_MAX_STEPS = 5000
_NAME, _VERSION, _RELEASE, _EPOCH = 1000, 1001, 1002, 1003
_DIGESTS, _DIR_INDEXES, _BASENAMES, _DIRNAMES, _ALGORITHM = 1035, 1116, 1117, 1118, 5011
#: Numbers of OpenPGP (RFC 4880, 9.4); without one it is MD5.
_ALGORITHMS = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512"}
_INT32, _STRINGS = 4, (6, 8, 9)


class _Tag(NamedTuple):
    kind: int
    offset: int
    number: int


def rpm_owners(root: DiskRoot, names: FrozenSet[str]) -> Iterator[Tuple[str, Owner]]:
    """Name and owner of those of ``names`` that an installed package has.

    Raises:
        UnreadableError: the database is damaged, or of a kind that is not read.
    """
    for folder in _FOLDERS:
        if root.find("{}/{}".format(folder, _DATABASE)).file:
            yield from _owners_in(root, folder, names)
            return
    for folder in _FOLDERS:
        for name in _OTHERS:
            if root.find("{}/{}".format(folder, name)).file:
                raise UnreadableError("{}/{}: only rpm databases of SQLite are read".format(folder, name))


def _owners_in(root: DiskRoot, folder: str, names: FrozenSet[str]) -> Iterator[Tuple[str, Owner]]:
    try:
        import sqlite3  # noqa: PLC0415  # some distributions have it in a package of its own
    except ImportError as error:
        raise UnreadableError("{}: this Python has no sqlite3".format(folder)) from error
    place = os.environ.get("TMPDIR") or tempfile.gettempdir()
    try:
        with temporary_directory(place, guarded=True) as work:
            for suffix in ("", "-wal"):  # what has been written and not yet moved into the database
                _copy(root, "{}/{}{}".format(folder, _DATABASE, suffix), os.path.join(work, _DATABASE + suffix))
            database = sqlite3.connect(os.path.join(work, _DATABASE))
            try:
                _bound(database)
                yield from _query(database, names)
            finally:
                database.close()
    except (sqlite3.Error, ValueError, struct.error, OverflowError) as error:
        raise UnreadableError("{}/{}: {}".format(folder, _DATABASE, error)) from error


def _copy(root: DiskRoot, path: str, to: str) -> None:
    """SQLite opens files by name, and writes beside them."""
    file = root.find(path).file
    if file is None:
        return
    if file.status.size > _MAX_SIZE:
        raise UnreadableError("{} is larger than {} bytes".format(path, _MAX_SIZE))
    with open(to, "xb") as copy:
        for offset in range(0, file.status.size, 1 << 20):
            copy.write(os.pread(file.fileno(), 1 << 20, offset))


def _bound(database: Any) -> None:
    """A stranger's database may define views of endless work, and functions to call."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return int(steps > _MAX_STEPS)

    database.set_progress_handler(count, _STEPS)
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")


def _query(database: Any, names: FrozenSet[str]) -> Iterator[Tuple[str, Owner]]:
    """Rpm has an index of the last parts of names."""
    numbers: Set[int] = set()
    for name in sorted({os.path.basename(name) for name in names}):
        rows = database.execute("SELECT hnum FROM Basenames WHERE key = ? LIMIT 1000", (name,)).fetchall()
        numbers.update(number for (number,) in rows if isinstance(number, int))
    for number in sorted(numbers):
        query = "SELECT blob FROM Packages WHERE hnum = ? AND length(blob) <= ?"
        for (blob,) in database.execute(query, (number, _MAX_HEADER_SIZE)).fetchmany(1):
            if isinstance(blob, bytes):
                yield from _owners_of(blob, names)


def _owners_of(blob: bytes, names: FrozenSet[str]) -> Iterator[Tuple[str, Owner]]:
    header = _Header(blob)
    package = "".join(header.texts(_NAME)[:1])
    epoch = ["{}:".format(number) for number in header.numbers(_EPOCH)[:1]]
    version = "".join([*epoch, *header.texts(_VERSION)[:1], "-", *header.texts(_RELEASE)[:1]])
    algorithm = _ALGORITHMS.get(sum(header.numbers(_ALGORITHM)[:1]) or 1)
    folders = header.texts(_DIRNAMES)
    files = zip(header.texts(_BASENAMES), header.numbers(_DIR_INDEXES), header.texts(_DIGESTS))
    for base, index, digest in files:
        name = folders[index] + base if 0 <= index < len(folders) else ""
        if name in names and digest and algorithm:
            yield name, Owner("rpm", package, version, algorithm, digest)


class _Header:
    """The header of one package; what is wrong in it raises ``ValueError`` or ``struct.error``."""

    def __init__(self, blob: bytes) -> None:
        entries, size = struct.unpack_from(">II", blob)
        if entries > _MAX_ENTRIES or 8 + 16 * entries + size > len(blob):
            raise ValueError("the header of a package is damaged")
        self._data = blob[8 + 16 * entries : 8 + 16 * entries + size]
        self._tags = {}
        for number in range(entries):
            tag, kind, offset, count = struct.unpack_from(">IIiI", blob, 8 + 16 * number)
            self._tags[tag] = _Tag(kind, offset, count)

    def numbers(self, tag: int) -> List[int]:
        """The 32-bit numbers of a tag."""
        found = self._tags.get(tag)
        if found is None or found.kind != _INT32:
            return []
        self._check(found)
        return list(struct.unpack_from(">{}I".format(found.number), self._data, found.offset))

    def texts(self, tag: int) -> List[str]:
        """The strings of a tag."""
        found = self._tags.get(tag)
        if found is None or found.kind not in _STRINGS:
            return []
        self._check(found)
        parts = self._data[found.offset :].split(b"\0", found.number)
        return [text_of(part) for part in parts[: found.number]]

    def _check(self, tag: _Tag) -> None:
        if not (0 <= tag.offset <= len(self._data) and tag.number <= _MAX_FILES):
            raise ValueError("the header of a package is damaged")
