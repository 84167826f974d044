"""Tar headers: ustar with pax records where ustar is too small.

``tarfile`` cannot write names as plain bytes, and its headers differ between Pythons.
"""

from typing import Dict, List, NamedTuple, Sequence, Tuple

BLOCK = 512
FILE = b"0"
SYMLINK = b"2"
DIRECTORY = b"5"
PAX = b"x"
GLOBAL_PAX = b"g"

LATEST = (8 << 30) - 1  # 11 octal digits
_MAX_USTAR_SIZE = 8 << 30
_PAX_NAME = b"PaxHeaders/member"


class Member(NamedTuple):
    """What a header says."""

    name: bytes
    kind: bytes
    size: int
    mode: int
    mtime: int
    target: bytes = b""


def padding(size: int) -> int:
    """Zeros after ``size`` bytes of data up to the next block."""
    return -size % BLOCK


def format_member(member: Member) -> bytes:
    """The header blocks of a member."""
    records: List[Tuple[bytes, bytes]] = []
    if len(member.name) > 100:
        records.append((b"path", member.name))
    if len(member.target) > 100:
        records.append((b"linkpath", member.target))
    if member.size >= _MAX_USTAR_SIZE:
        records.append((b"size", b"%d" % member.size))
    header = _ustar(member)
    return _pax(records) + header if records else header


def _pax(records: Sequence[Tuple[bytes, bytes]]) -> bytes:
    data = b"".join(format_record(key, value) for key, value in records)
    return _ustar(Member(_PAX_NAME, PAX, len(data), 0o644, 0)) + data + bytes(padding(len(data)))


def format_record(key: bytes, value: bytes, size: int = 0) -> bytes:
    """One pax record, with spaces up to ``size``; its length counts its own digits (pax(1), "pax Extended Header")."""
    rest = b" " + key + b"=" + value + b"\n"
    length = max(size, len(rest) + 1)
    while length < len(b"%d" % length) + len(rest):
        length = len(b"%d" % length) + len(rest)
    return (b"%d" % length + rest[:-1]).ljust(length - 1) + b"\n"


def _ustar(member: Member) -> bytes:
    header = bytearray(BLOCK)
    header[0:100] = member.name[:100].ljust(100, b"\0")
    header[100:124] = b"%07o\0" % member.mode + b"0000000\0" + b"0000000\0"
    header[124:136] = b"%011o\0" % (member.size if member.size < _MAX_USTAR_SIZE else 0)
    header[136:148] = b"%011o\0" % member.mtime
    header[148:157] = b"        " + member.kind
    header[157:257] = member.target[:100].ljust(100, b"\0")
    header[257:265] = b"ustar\00000"
    header[329:345] = b"0000000\0" + b"0000000\0"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def parse_decimal(text: bytes) -> int:
    """A number in ASCII digits below 2**63.

    Raises:
        ValueError: for anything else.
    """
    if not text.isdigit() or len(text) > 19 or int(text) >= 1 << 63:
        raise ValueError("not a number: {!r:.40}".format(text))
    return int(text)


def _parse_octal(field: bytes) -> int:
    if not field.isdigit():
        raise ValueError("not a number: {!r:.40}".format(field))
    return int(field, 8)


def pax_size(header: bytes) -> int:
    """Bytes of pax records that follow this header block, 0 if it is a member's own.

    Raises:
        ValueError: for a header that is not as ``format_member`` writes it.
    """
    return _parse_octal(header[124:135]) if header[156:157] == PAX else 0


def parse_member(headers: bytes) -> Member:
    """The member that these header blocks, all of them, describe.

    Raises:
        ValueError: unless the blocks are exactly those that ``format_member`` writes for it. So there is one
            reading of a header, and no other ``tar`` can understand it differently.
    """
    records = _parse_pax(headers[BLOCK : BLOCK + pax_size(headers)])
    header = headers[-BLOCK:]
    member = Member(
        name=records.get(b"path") or header[0:100].rstrip(b"\0"),
        kind=header[156:157],
        size=parse_decimal(records[b"size"]) if b"size" in records else _parse_octal(header[124:135]),
        mode=_parse_octal(header[100:107]),
        mtime=_parse_octal(header[136:147]),
        target=records.get(b"linkpath", header[157:257].rstrip(b"\0")),
    )
    if member.kind not in (FILE, SYMLINK) or format_member(member) != headers:
        raise ValueError("not as corebox writes it")
    return member


def _parse_pax(data: bytes) -> Dict[bytes, bytes]:
    records: Dict[bytes, bytes] = {}
    while data:
        digits, _, _ = data[:8].partition(b" ")
        length = parse_decimal(digits)
        key, _, value = data[len(digits) + 1 : length].partition(b"=")
        if not length:
            raise ValueError("an empty pax record")
        records[key] = value[:-1]
        data = data[length:]
    return records
