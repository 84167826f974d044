"""``tarfile`` for archives of strangers: what it holds in memory is bounded, whatever they say.

It reads an extended header whole, however long that claims to be, one of a chain within the other, and keeps every
member that it has read.
"""

import tarfile
from typing import Any, Iterator

#: Bytes; Go's archive/tar has the same bound.
LONGEST_EXTENDED = 1 << 20
MOST_MEMBERS = 1000000
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class BoundedInfo(tarfile.TarInfo):
    """To be given to ``tarfile.open`` as ``tarinfo``; what is too long raises ``tarfile.ReadError``."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: Any, errors: Any) -> "BoundedInfo":
        """The member that a header block describes."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENDED and member.size > LONGEST_EXTENDED:
            raise tarfile.ReadError("an extended header is too long")
        return member

    def _proc_gnusparse_10(self, *_: Any) -> None:
        """Sparse members of the pax format have a map before their data, which tarfile reads whole as well."""
        raise tarfile.ReadError("a sparse member: make the archive without --sparse")


def members_of(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members in order, none of which is kept.

    Raises:
        tarfile.ReadError: there are too many.
        RecursionError: one has too many extended headers; ``tarfile.open`` reads the first member, and raises it too.
    """
    for count, member in enumerate(archive):
        if count == MOST_MEMBERS:
            raise tarfile.ReadError("more than {} members".format(MOST_MEMBERS))
        archive.members.clear()  # type: ignore[attr-defined]  # no stub knows it
        yield member
