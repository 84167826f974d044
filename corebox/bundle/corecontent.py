"""What a bundle holds of a core: the compact one, made of a core file, or out of an image's layer; and its layout."""

import io
import json
import os
from functools import partial
from typing import TYPE_CHECKING, Callable, Iterator, Optional, Union

from corebox.coredump.core import CoreFile
from corebox.files.extents import Buffers, Extent, read_at, stored_extents
from corebox.files.faults import changed, reading
from corebox.reduce.compact import MIN_HOLE_LENGTH, plan_compaction

if TYPE_CHECKING:
    from corebox.files.ahead import Ahead

#: Called with offset and bytes of a piece of the original core; returns as many bytes.
Change = Callable[[int, bytes], bytes]
Piece = Union[bytes, memoryview]
ReadPiece = Callable[[int, int], memoryview]

#: So many pieces stay valid; an earlier one's memory is used again.
PIECES_KEPT = 16

_CHUNK = 1 << 18
_ZEROS = bytes(_CHUNK)


class CompactCore:
    """The compact form of a core file, made while it is read.

    Args:
        core: the open core.
        change: what becomes of each piece of its memory on the way; it keeps its length.
        on_progress: called with the number of bytes whenever some were searched for zeros, before ``read`` and
            ``pieces`` can be.
        ahead: where that is done already.

    Attributes:
        size: of the compact core, in bytes.
    """

    def __init__(
        self,
        core: CoreFile,
        change: Optional[Change] = None,
        on_progress: Callable[[int], object] = lambda _: None,
        ahead: "Optional[Ahead]" = None,
    ) -> None:
        self._core = core
        self._change = change
        self._plan = plan_compaction(core, on_progress, ahead)
        self.size = self._plan.size

    def layout(self) -> bytes:
        """The JSON from which the original comes back."""
        return json.dumps(self._plan.layout(), sort_keys=True).encode("ascii")

    def read(self, offset: int, size: int) -> bytes:
        """Some of its headers, or of the section header behind all memory, fewer bytes at its end."""
        if not self._plan.head:  # it stays as it is
            data = self._core.read_file(offset, size)
            return self._change(offset, data) if self._change else data
        behind = offset - (self.size - len(self._plan.tail))
        return self._plan.tail[behind : behind + size] if behind >= 0 else self._plan.head[offset : offset + size]

    def pieces(self) -> Iterator[Piece]:
        """All of it; holes are not read. A piece is valid until ``PIECES_KEPT`` more have been taken.

        Raises:
            InputError: ``file-changed``, ``cannot-read``.
        """
        yield self._plan.head
        buffers, file = Buffers(PIECES_KEPT, _CHUNK), io.FileIO(self._core.fileno(), closefd=False)
        read = partial(buffers.read, file)
        for run in self._plan.runs:
            yield from self._run(read, run.original, run.original + run.size)
        yield self._plan.tail
        if os.fstat(self._core.fileno()).st_size != self._core.size:
            raise changed(self._core.path)

    def _run(self, read: ReadPiece, position: int, end: int) -> Iterator[Piece]:
        for extent in _merged(stored_extents(self._core.fileno(), end, position)):
            yield from _zeros(extent.offset - position)
            position = extent.offset + extent.size
            yield from self._extent(read, extent.offset, extent.size)
        yield from _zeros(end - position)

    def _extent(self, read: ReadPiece, offset: int, size: int) -> Iterator[Piece]:
        while size:
            with reading("the core"):
                piece = read(offset, size)
            if not piece:
                raise changed("the core")
            yield self._change(offset, piece.tobytes()) if self._change else piece
            offset += len(piece)
            size -= len(piece)


class CoreInFile:
    """A compact core that is ``size`` bytes of an open file from ``offset`` on, and its layout."""

    def __init__(self, descriptor: int, offset: int, size: int, layout: bytes) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._layout = layout
        self.size = size

    def layout(self) -> bytes:
        """The JSON from which the original comes back."""
        return self._layout

    def read(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes at ``offset``."""
        return read_at(self._descriptor, self._offset + offset, min(size, self.size - offset)) if offset >= 0 else b""

    def pieces(self) -> Iterator[Piece]:
        """All of it."""
        for offset in range(0, self.size, _CHUNK):
            yield self.read(offset, _CHUNK)


CoreContent = Union[CompactCore, CoreInFile]


def _merged(extents: Iterator[Extent]) -> Iterator[Extent]:
    """The extents, those as one that have a short hole between them: to read that costs less than to skip it."""
    begin, end = 0, 0
    for extent in extents:
        if end and extent.offset - end >= MIN_HOLE_LENGTH:
            yield Extent(begin, end - begin)
            end = 0
        if not end:
            begin = extent.offset
        end = extent.offset + extent.size
    if end:
        yield Extent(begin, end - begin)


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        yield _ZEROS[:size]
        size -= _CHUNK
