"""The core as a layer of an image: a tar with the compact core as one file, and itself a core.

Its digest stands in SHA256SUMS, so that the core is hashed once for bundle and image. And because the tar is a core
too (``coredump/within.py``), the layer's blob is what debuggers are given: nothing is unpacked, nothing written twice.

The ELF header is the name of the first member, a global pax header, which every reader of tars leaves out of the tree.
Copies of the program headers are the content of the last member.
"""

import contextlib
import os

from corebox.bundle.layout import FOLDER
from corebox.bundle.tarformat import (
    BLOCK,
    DIRECTORY,
    FILE,
    GLOBAL_PAX,
    Member,
    format_member,
    format_record,
    padding,
    parse_member,
)
from corebox.coredump.header import HEADER_SIZE
from corebox.coredump.table import ReadCore
from corebox.files.extents import Extent
from corebox.files.sha256 import sha256
from corebox.reduce.within import outer_header, outer_table

#: Paths in the image.
CORE_FILE = FOLDER + "/core"
TABLE_FILE = FOLDER + "/core.segments"

#: Where the compact core begins in its layer: a page, so that its segments keep the alignment that they have.
CORE_OFFSET = 4096

_CHUNK = 1 << 20
_COMMENT = b"this tar is an ELF core file too; its program headers are in .corebox/core.segments"


def layer_head(begin: bytes, size: int, mtime: int) -> bytes:
    """The ``CORE_OFFSET`` bytes before a compact core of ``size`` bytes that begins with the 64 bytes ``begin``."""
    copy = CORE_OFFSET + size + padding(size) + BLOCK
    members = format_member(Member(FOLDER.encode("ascii") + b"/", DIRECTORY, 0, 0o755, 0))
    members += format_member(Member(CORE_FILE.encode("ascii"), FILE, size, 0o644, mtime))
    comment = format_record(b"comment", _COMMENT, CORE_OFFSET - BLOCK - len(members))
    first = Member(outer_header(begin, copy), GLOBAL_PAX, len(comment), 0o644, 0)
    return format_member(first) + comment + members


def layer_tail(size: int, read: ReadCore) -> bytes:
    """What follows a compact core of ``size`` bytes, of which ``read`` gives up to so many bytes at an offset."""
    table = outer_table(read, size, CORE_OFFSET)
    member = Member(TABLE_FILE.encode("ascii"), FILE, len(table), 0o644, 0)
    return bytes(padding(size)) + format_member(member) + table + bytes(padding(len(table)) + 2 * BLOCK)


def layer_digest(size: int, read: ReadCore, mtime: int) -> str:
    """The SHA-256, in hex, of the layer with a compact core, all of which is read."""
    digest = sha256()
    digest.update(layer_head(read(0, HEADER_SIZE), size, mtime))
    for offset in range(0, size, _CHUNK):
        digest.update(read(offset, _CHUNK))
    digest.update(layer_tail(size, read))
    return str(digest.hexdigest())


def core_within(layer: str) -> Extent:
    """Where in a layer the compact core lies.

    Raises:
        ValueError: it is no layer of a core.
    """
    with open(layer, "rb") as file:
        head, end = file.read(CORE_OFFSET + HEADER_SIZE), os.fstat(file.fileno()).st_size
    for blocks in (1, 3):  # the member's header, alone or behind a pax header
        with contextlib.suppress(ValueError):
            member = parse_member(head[CORE_OFFSET - blocks * BLOCK : CORE_OFFSET])
            begin = head[CORE_OFFSET : CORE_OFFSET + member.size]
            whole = CORE_OFFSET + member.size <= end
            if whole and layer_head(begin, member.size, member.mtime) == head[:CORE_OFFSET]:
                return Extent(CORE_OFFSET, member.size)
    raise ValueError("it is not as corebox writes it")
