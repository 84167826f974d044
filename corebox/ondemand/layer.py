"""A core that lies in a file as it is, such as in a layer of the store."""

from typing import BinaryIO

from corebox.bundle.blocks import BLOCK_SIZE
from corebox.files.extents import reader_at
from corebox.ondemand.source import block_length, checked
from corebox.ondemand.wanted import WantedCore

#: Of a layer, from which it is seen where the core is.
_BEGIN = 1 << 16


class PlainCore:
    """The compact core that is a part of an open file, which stays open."""

    at_once, ahead = 2, 4

    def __init__(self, file: BinaryIO, wanted: WantedCore) -> None:
        self._file = file
        self._read_at, _ = reader_at(file)
        place, self._digests = wanted.locate(lambda: self._read_at(0, _BEGIN))
        self.size, self._start = place.size, place.offset

    def read_block(self, index: int) -> bytes:
        """See ``BlockSource``."""
        offset = self._start + index * BLOCK_SIZE
        return checked(self._digests, index, self._read_at(offset, block_length(self.size, index)))
