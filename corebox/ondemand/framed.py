"""A core out of independent frames: those that hold a block are read, and nothing else."""

from collections.abc import Callable
from typing import BinaryIO

from corebox.bundle.blocks import BLOCK_SIZE, BlockDigests
from corebox.errors import CoreboxError, InputError
from corebox.files.extents import Extent, reader_at
from corebox.files.seekable import Frame, FrameTable, frame_content, read_table
from corebox.ondemand.source import BlockError, block_length, checked, wrong
from corebox.ondemand.wanted import WantedCore

#: Returns the bytes of a frame as it is stored; raises BlockError or OSError.
ReadFrame = Callable[[Frame], bytes]


class FramedCore:
    """A compact core in the content of frames.

    Args:
        table: of the frames.
        place: of the core in their content.
        digests: of its blocks.
        read_frame: reads one frame.
        at_once: how many blocks are read at a time.
        ahead: how many blocks are read ahead.
    """

    def __init__(
        self,
        table: FrameTable,
        place: Extent,
        digests: BlockDigests,
        read_frame: ReadFrame,
        at_once: int = 2,
        ahead: int = 4,
    ) -> None:
        if place.offset < 0 or place.offset + place.size > table.size or digests.size != place.size:
            raise BlockError("its table of frames is not of this core", lasting=True)
        self.size = place.size
        self.at_once, self.ahead = at_once, ahead
        self._table = table
        self._start = place.offset
        self._digests = digests
        self._read_frame = read_frame

    def read_block(self, index: int) -> bytes:
        """See ``BlockSource``."""
        begin = self._start + index * BLOCK_SIZE
        end = begin + block_length(self.size, index)
        frames = range(self._table.index_at(begin), self._table.index_at(end - 1) + 1)
        return checked(self._digests, index, b"".join(self._part(self._table[each], begin, end) for each in frames))

    def _part(self, frame: Frame, begin: int, end: int) -> bytes:
        """What of the frame's content lies between the two."""
        stored = self._read_frame(frame)
        try:
            content = frame_content(self._table.compression, stored, frame.size)
        except ValueError as error:
            raise wrong() from error
        except CoreboxError as error:
            raise BlockError(error.message, lasting=False) from error
        return content[max(0, begin - frame.offset) : end - frame.offset]


def first_content(table: FrameTable, read_frame: ReadFrame) -> bytes:
    """The content of the first frame.

    Raises:
        BlockError: it cannot be read.
    """
    try:
        return frame_content(table.compression, read_frame(table[0]), table[0].size)
    except ValueError as error:
        raise BlockError(f"its first frame is damaged: {error}", lasting=True) from error


def open_framed(file: BinaryIO, wanted: WantedCore) -> FramedCore:
    """The core in an open file of frames, which stays open.

    Raises:
        BlockError: the file has no table of its frames, or one of another core.
        InputError: ``bundle-damaged``.
    """
    read, size = reader_at(file)
    table = read_table(read, size)
    if table is None:
        raise BlockError(f"{file.name} has no table of its frames", lasting=True)

    def read_frame(frame: Frame) -> bytes:
        try:
            return read(frame.stored_offset, frame.stored_size)
        except InputError as error:  # of an envelope
            raise BlockError(error.message, lasting=True) from error

    return FramedCore(table, *wanted.locate(lambda: first_content(table, read_frame)), read_frame)
