"""A compressed file of independent frames, with a table at its end that says where each begins.

Whoever has the table reads any part of the content by the frames that hold it, from a disk or by HTTP ranges; whoever
has not reads the frames one after the other, as ``zstd -d`` and ``gzip -d`` do.

- zstd: the seekable format (zstd's ``contrib/seekable_format``): a skippable frame, which decompressors pass over.
- gzip: members without content behind the frames, as eStargz has one. Their extra field (RFC 1952, section 2.3.1.1) has
  the subfield ``CX``: sizes in the first of them, in the last one where those begin and how many frames there are.

Both have the same record for a frame: its size as stored and the size of its content, 32 bits each, little-endian.
"""

import struct
import sys
import zlib
from array import array
from bisect import bisect_right
from itertools import accumulate
from typing import Any, Callable, Iterator, NamedTuple, Optional

from corebox.files import zstd
from corebox.files.gunzip import WRAPPED

ZSTD, GZIP = "zstd", "gzip"
#: No frame holds more: what a reader needs for one of a stranger's.
MAX_FRAME_SIZE = 4 << 20
#: A table with more is refused: 2 TiB in frames of 1 MiB, and 48 MB in memory.
MAX_FRAMES = 1 << 21
#: The table of 8 GiB in frames of 1 MiB, and its footer, come with one read.
_FIRST_READ = 1 << 16
#: What does not become smaller takes that much more, and less (ZSTD_compressBound; zlib's deflateBound).
_MAX_GROWTH = 1 << 16

_SKIPPABLE = struct.Struct("<II")
_SKIPPABLE_MAGIC = 0x184D2A5E
_ZSTD_FOOTER = struct.Struct("<IBI")
_SEEKABLE_MAGIC = 0x8F92EAB1

_GZIP_HEAD = struct.Struct("<4sIBBHccH")  # to the length of the subfield
_GZIP_END = b"\3\0" + bytes(8)  # no content, its checksum and its size
_GZIP_FOOTER = struct.Struct("<QII")
_GZIP_RECORDS = 8190  # of eight bytes, as an extra field can hold

#: Returns the bytes of the file at an offset, as many as are asked for.
ReadAt = Callable[[int, int], bytes]


class Frame(NamedTuple):
    """One frame: where its content is in the whole content, and where it is stored itself."""

    offset: int
    size: int
    stored_offset: int
    stored_size: int


class FrameTable:
    """The frames of a file, in order; they hold all of its content.

    Attributes:
        compression: ``ZSTD`` or ``GZIP``.
        size: of the content.
        stored_size: of all frames, which is where the table begins.
    """

    def __init__(self, compression: str, records: "array[int]") -> None:
        self.compression = compression
        # Two numbers a frame, where it ends: millions of tuples would not fit.
        self._stored_ends = array("Q", accumulate(records[::2]))
        self._ends = array("Q", accumulate(records[1::2]))
        self.size = self._ends[-1] if self._ends else 0
        self.stored_size = self._stored_ends[-1] if self._ends else 0

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Frame:
        if not 0 <= index < len(self._ends):
            raise IndexError(index)
        offset, stored = (self._ends[index - 1], self._stored_ends[index - 1]) if index else (0, 0)
        return Frame(offset, self._ends[index] - offset, stored, self._stored_ends[index] - stored)

    def __iter__(self) -> Iterator[Frame]:
        return map(self.__getitem__, range(len(self)))

    def index_at(self, offset: int) -> int:
        """Which frame holds the byte at ``offset`` of the content; raises IndexError behind its end."""
        if not 0 <= offset < self.size:
            raise IndexError(offset)
        return bisect_right(self._ends, offset)

    def blocks(self, offset: int, size: int, block: int) -> Optional[range]:
        """The frames that hold ``size`` bytes at ``offset`` of the content, in blocks of ``block`` bytes each.

        The last block may be shorter. None if they are cut in another way.
        """
        if size <= 0:
            return range(0) if size == 0 else None
        if offset < 0 or offset + size > self.size:
            return None
        first, count = self.index_at(offset), -(-size // block)
        ends = array("Q", range(offset + block, offset + size, block))
        ends.append(offset + size)
        good = self[first].offset == offset and self._ends[first : first + count] == ends
        return range(first, first + count) if good else None


class TableWriter:
    """Collects the sizes of frames that are written, and makes the table of them."""

    def __init__(self, compression: str) -> None:
        self._compression = compression
        self._records = array("I")

    def add(self, size: int, stored_size: int) -> None:
        """Behind the others there is a frame with ``size`` bytes of content that takes ``stored_size``."""
        self._records.append(stored_size)
        self._records.append(size)

    def to_bytes(self) -> bytes:
        """What follows the last frame; empty if there are more frames than a table may have."""
        if len(self._records) > 2 * MAX_FRAMES:
            return b""
        return _format(self._compression, self._records)


def read_table(read_at: ReadAt, size: int) -> Optional[FrameTable]:
    """The table at the end of a file of ``size`` bytes, or None if it has none, or one that cannot be true.

    Believe nothing of it but that its frames fill the file, that none is empty or longer than ``MAX_FRAME_SIZE``, and
    that there are ``MAX_FRAMES`` at most: the frames may hold anything.

    Args:
        read_at: called twice at most, with what lies within the file; what it raises passes through.
        size: of the file, in bytes.
    """
    end = read_at(max(0, size - _FIRST_READ), min(size, _FIRST_READ))
    for compression, count_frames in ((ZSTD, _count_zstd), (GZIP, _count_gzip)):
        count = count_frames(end)
        length = _length(compression, count)
        if not 0 < count <= MAX_FRAMES or length > size:
            continue
        if length > len(end):
            end = read_at(size - length, length - len(end)) + end
        table = end[-length:]
        records = _parse(compression, table, count)
        if _format(compression, records) != table or not _plausible(records):
            return None
        frames = FrameTable(compression, records)
        return frames if frames.stored_size == size - length else None
    return None


def frame_content(compression: str, stored: bytes, size: int, member: Callable[[], Any] = lambda: None) -> bytes:
    """The content of one frame, which is ``size`` bytes; may be called in many threads at a time.

    Args:
        compression: ``ZSTD`` or ``GZIP``.
        stored: the frame.
        size: what the table says, and what is held in memory, whatever the frame says.
        member: makes what decompresses a gzip member, as ``zlib.decompressobj`` does, which is the default.

    Raises:
        ValueError: it is not one frame with so many bytes.
        HostError: ``no-libzstd``.
    """
    if compression == ZSTD:
        content = zstd.frame_content(stored, size)
    else:
        one = member() or zlib.decompressobj(WRAPPED)
        try:
            content = one.decompress(stored, size + 1)
        except Exception as error:  # each library has an error of its own
            raise ValueError("gzip says: {}".format(error)) from error
        if one.eof is False or one.unused_data:
            raise ValueError("it is not one frame")
    if len(content) != size:
        raise ValueError("it has not the size that the table says")
    return content


def _plausible(records: "array[int]") -> bool:
    return min(records) > 0 and max(records[1::2]) <= MAX_FRAME_SIZE and max(records) <= MAX_FRAME_SIZE + _MAX_GROWTH


def _length(compression: str, count: int) -> int:
    """Of the table of so many frames, in bytes."""
    if compression == ZSTD:
        return _SKIPPABLE.size + 8 * count + _ZSTD_FOOTER.size
    members = -(-count // _GZIP_RECORDS)
    return (_GZIP_HEAD.size + len(_GZIP_END)) * (members + 1) + 8 * count + _GZIP_FOOTER.size


def _count_zstd(end: bytes) -> int:
    """How many frames the table at the end says there are; 0 if it is none."""
    if len(end) < _ZSTD_FOOTER.size:
        return 0
    count, descriptor, magic = _ZSTD_FOOTER.unpack(end[-_ZSTD_FOOTER.size :])
    return count if magic == _SEEKABLE_MAGIC and descriptor == 0 else 0


def _count_gzip(end: bytes) -> int:
    footer = end[-len(_GZIP_END) - _GZIP_FOOTER.size : -len(_GZIP_END)]
    if len(footer) < _GZIP_FOOTER.size:
        return 0
    _, count, magic = _GZIP_FOOTER.unpack(footer)
    return count if magic == _SEEKABLE_MAGIC else 0


def _format(compression: str, records: "array[int]") -> bytes:
    data = _little_endian(records).tobytes()
    count = len(records) // 2
    if compression == ZSTD:
        footer = _ZSTD_FOOTER.pack(count, 0, _SEEKABLE_MAGIC)
        return _SKIPPABLE.pack(_SKIPPABLE_MAGIC, len(data) + len(footer)) + data + footer
    step = 8 * _GZIP_RECORDS
    members = [_gzip_member(data[at : at + step]) for at in range(0, len(data), step)]
    footer = _GZIP_FOOTER.pack(sum(records[::2]), count, _SEEKABLE_MAGIC)
    return b"".join(members) + _gzip_member(footer)


def _gzip_member(extra: bytes) -> bytes:
    """A member without content, whose extra field has one subfield with these bytes (RFC 1952, section 2.3)."""
    head = _GZIP_HEAD.pack(b"\x1f\x8b\x08\x04", 0, 0, 255, len(extra) + 4, b"C", b"X", len(extra))
    return head + extra + _GZIP_END


def _parse(compression: str, table: bytes, count: int) -> "array[int]":
    """The records in bytes of the right length; whether the rest is right is seen when they are formatted again."""
    records = array("I")
    if compression == ZSTD:
        records.frombytes(table[_SKIPPABLE.size : _SKIPPABLE.size + 8 * count])
        return _little_endian(records)
    at = 0
    while count:
        here = min(count, _GZIP_RECORDS)
        at += _GZIP_HEAD.size
        records.frombytes(table[at : at + 8 * here])
        at += 8 * here + len(_GZIP_END)
        count -= here
    return _little_endian(records)


def _little_endian(records: "array[int]") -> "array[int]":
    if sys.byteorder == "little":
        return records
    swapped = array("I", records)
    swapped.byteswap()
    return swapped
