"""A core that lies in a file as it is, such as in a layer of the store."""

import os
from pathlib import Path

from corebox.bundle.blocks import BLOCK_SIZE
from corebox.files.extents import read_at
from corebox.ondemand.source import block_length, checked
from corebox.ondemand.wanted import WantedCore

#: Of a layer, from which it is seen where the core is.
_BEGIN = 1 << 16


class PlainCore:
    """The compact core that is a part of the file at ``path``, which stays open."""

    at_once, ahead = 2, 4

    def __init__(self, path: Path, wanted: WantedCore) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        place, self._digests = wanted.locate(lambda: read_at(self._descriptor, 0, _BEGIN))
        self.size, self._start = place.size, place.offset

    def read_block(self, index: int) -> bytes:
        """See ``BlockSource``."""
        offset = self._start + index * BLOCK_SIZE
        return checked(self._digests, index, read_at(self._descriptor, offset, block_length(self.size, index)))
