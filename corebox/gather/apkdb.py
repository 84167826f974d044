"""The database of apk, Alpine's package manager: one text file (apk-package(5), "installed database")."""

import base64
import binascii
from typing import FrozenSet, Iterator, Optional, Tuple

from corebox.files.diskroot import DiskRoot
from corebox.gather.packagedb import Owner, read_database, text_of

_INSTALLED = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_SHA1 = b"Q1"


def apk_owners(root: DiskRoot, names: FrozenSet[str]) -> Iterator[Tuple[str, Owner]]:
    """Name and owner of those of ``names`` that an installed package has.

    Raises:
        UnreadableError: the database is larger than any.
    """
    for path in _INSTALLED:
        data = read_database(root, path)
        if data:
            yield from _owners(data, names)
            return


def _owners(data: bytes, names: FrozenSet[str]) -> Iterator[Tuple[str, Owner]]:
    package = version = folder = name = ""
    for line in data.split(b"\n"):
        field, value = line[:2], line[2:]
        if field == b"P:":
            package, version, folder, name = text_of(value), "", "", ""
        elif field == b"V:":
            version = text_of(value)
        elif field == b"F:":
            folder = value.decode("utf-8", "surrogateescape")
        elif field == b"R:":
            name = "/{}/{}".format(folder, value.decode("utf-8", "surrogateescape")).replace("//", "/")
        elif field == b"Z:" and name in names:
            digest = _digest(value)
            if digest:
                yield name, Owner("apk", package, version, "sha1", digest)


def _digest(value: bytes) -> Optional[str]:
    """The SHA-1 in hex; later kinds of checksums begin with other marks."""
    if not value.startswith(_SHA1):
        return None
    try:
        digest = base64.b64decode(value[len(_SHA1) :])
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == 20 else None
