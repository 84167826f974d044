"""``tarfile`` for archives of strangers: what it holds in memory is bounded, whatever they say.

It reads an extended header whole, however long that claims to be, one of a chain within the other, and keeps every
member that it has read.
"""

import tarfile
from typing import Any, Optional

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


class _BoundedInfo(tarfile.TarInfo):
    @classmethod
    def frombuf(cls, buf: Any, encoding: Any, errors: Any) -> "_BoundedInfo":
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENDED and member.size > LONGEST_EXTENDED:
            raise tarfile.ReadError("an extended header is too long")
        return member

    def _proc_gnusparse_10(self, *_: Any) -> None:
        """Sparse members of the pax format have a map before their data, which tarfile reads whole as well."""
        raise tarfile.ReadError("a sparse member: make the archive without --sparse")


class BoundedTar(tarfile.TarFile):
    """An archive whose members come once, in order, and are not kept; what is too much raises ``tarfile.ReadError``."""

    tarinfo = _BoundedInfo
    _read = 0

    def next(self) -> Optional[tarfile.TarInfo]:
        """The next member, None at the end."""
        try:
            member = super().next()
        except RecursionError:
            raise tarfile.ReadError("too many extended headers for one member") from None
        self._read += 1
        if member is not None and self._read > MOST_MEMBERS + 1:  # the first comes when the archive is opened, too
            raise tarfile.ReadError("more than {} members".format(MOST_MEMBERS))
        self.members.clear()  # type: ignore[attr-defined]  # no stub knows it
        return member
