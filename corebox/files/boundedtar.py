"""``tarfile`` for untrusted archives: what it holds in memory is bounded, whatever they say.

It reads an extended header whole, however long that claims to be, one of a chain within the other, and keeps every
member and every global header that it has read.
"""

import tarfile
from tarfile import ReadError
from typing import Any, Optional

#: Bytes; Go's archive/tar has the same bound.
MAX_EXTENDED_LENGTH = 1 << 20
MAX_MEMBERS = 1000000
#: Before one member: GNU's have a long name and a long link, pax's one for the member and one for all.
MAX_EXTENDED = 4
_LATEST = 1 << 62
_INVALID: Any = getattr(tarfile, "InvalidHeaderError")  # noqa: B009  # no stub knows it
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _BoundedInfo(tarfile.TarInfo):
    @classmethod
    def fromtarfile(cls, tarfile: Any) -> "_BoundedInfo":
        tarfile.headers += 1
        if tarfile.headers > MAX_EXTENDED + 1:
            raise ReadError("too many extended headers for one member")
        try:
            return super().fromtarfile(tarfile)
        except _INVALID as error:  # behind the first header it would be taken for the end of the archive
            raise ReadError(str(error)) from error

    @classmethod
    def frombuf(cls, buf: Any, encoding: Any, errors: Any) -> "_BoundedInfo":
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENDED and member.size > MAX_EXTENDED_LENGTH:
            raise ReadError("an extended header is too long")
        return member

    def _proc_gnusparse_10(self, *_: Any) -> None:
        """Sparse members of the pax format have a map before their data, which tarfile reads whole as well."""
        raise ReadError("a sparse member: make the archive without --sparse")


class BoundedTar(tarfile.TarFile):
    """An archive whose members come once, in order, and are not kept; what is too much raises ``tarfile.ReadError``."""

    tarinfo = _BoundedInfo
    _read = 0
    headers = 0

    def next(self) -> Optional[tarfile.TarInfo]:
        """The next member, None at the end."""
        self.headers = 0
        self.pax_headers = {key: value for key, value in self.pax_headers.items() if key in tarfile.PAX_FIELDS}
        try:
            member = super().next()
        except ValueError as error:
            raise ReadError("an invalid number: {:.200}".format(str(error))) from error
        self._read += 1
        if member is not None and self._read > MAX_MEMBERS + 1:  # the first comes when the archive is opened, too
            raise ReadError("more than {} members".format(MAX_MEMBERS))
        if member is not None and not (member.size >= 0 and abs(member.mtime) < _LATEST):  # the time may be NaN
            raise ReadError("size or time of a member is invalid")
        self.members.clear()  # type: ignore[attr-defined]  # no stub knows it
        return member
