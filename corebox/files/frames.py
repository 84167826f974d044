"""Writes and reads files of independent frames (``seekable.py``), on all processors."""

import zlib
from collections import deque
from functools import partial
from typing import Any, BinaryIO, Callable, Deque, Iterator, List, NamedTuple, Optional, Union

from corebox.files import zstd
from corebox.files.crew import Crew
from corebox.files.gunzip import WRAPPED
from corebox.files.seekable import GZIP, ZSTD, Frame, FrameTable, ReadAt, TableWriter, frame_content

_MAX_GZIP_LEVEL = 9
#: Of what is written. Frames of 1 MiB make a bundle of small libraries 3 % larger, these make none larger; longer ones
#: take memory, and the last of them take time alone.
_FRAME_SIZE = 2 << 20

#: Called with the content of a frame, on the thread that compresses it.
Look = Callable[[memoryview], Any]


class Codec(NamedTuple):
    """How frames are compressed, and what makes a function that compresses one after the other."""

    compression: str
    compressor: Callable[[], Callable[[memoryview], Any]]


def zstd_codec(level: int = 1) -> Codec:
    """zstd; raises HostError no-libzstd."""
    library = zstd.require_library()
    return Codec(ZSTD, lambda: zstd.FrameCompressor(library, _FRAME_SIZE, level))


def best_codec(level: int = 1) -> Codec:
    """Zstd where the host has libzstd, else gzip."""
    if zstd.load_library():
        return zstd_codec(level)
    return Codec(GZIP, lambda: partial(_gzip_member, min(level, _MAX_GZIP_LEVEL)))


class _Slot:
    """The memory of one frame on its way: its content, and what compresses it."""

    def __init__(self, compress: Callable[[memoryview], Any]) -> None:
        self.content = memoryview(bytearray(_FRAME_SIZE))
        self.compress = compress
        self.size = 0


class FrameWriter:
    """Compresses what is written to it into ``out``, on ``jobs`` threads, and ends with the table of its frames.

    The frames, and so all bytes of the file, depend on what is written and where it is cut, not on ``jobs``.

    Attributes:
        looks: what was returned by each ``look``, in order, complete after ``flush``.
    """

    def __init__(self, out: BinaryIO, jobs: int, codec: Codec) -> None:
        self._out = out
        self._table = TableWriter(codec.compression)
        self._crew = Crew(_compress, jobs)
        # One is filled and one written while the others are compressed.
        self._free = deque(_Slot(codec.compressor()) for _ in range(max(1, jobs) + 2))
        self._waiting: Deque[_Slot] = deque()
        self._slot = self._free.popleft()
        self.looks: List[Any] = []

    def write(self, data: Union[bytes, memoryview]) -> None:
        """Compress ``data``, of which nothing is kept."""
        while data:
            slot = self._slot
            part = data[: _FRAME_SIZE - slot.size]
            slot.content[slot.size : slot.size + len(part)] = part
            slot.size += len(part)
            data = data[len(part) :]
            if slot.size == _FRAME_SIZE:
                self._submit(None)

    def cut(self) -> None:
        """End the frame: what follows is in another."""
        if self._slot.size:
            self._submit(None)

    def space(self, size: int) -> memoryview:
        """Memory for the next frame; to be filled and given to ``put`` before anything else is written."""
        self.cut()
        return self._slot.content[:size]

    def put(self, size: int, look: Look) -> None:
        """The first ``size`` bytes of the last ``space`` are a frame; ``look`` is called with them."""
        self._slot.size = size
        self._submit(look)

    def flush(self) -> None:
        """End the frame, and wait until all that was given is written."""
        self.cut()
        while self._waiting:
            self._store()

    def close(self) -> None:
        """Write what is left; ``out`` stays open."""
        self.flush()
        self._out.write(self._table.to_bytes())
        self.abandon()

    def abandon(self) -> None:
        """End the threads without finishing the file."""
        self._crew.__exit__()

    def _submit(self, look: Optional[Look]) -> None:
        self._crew.put(self._slot, look)
        self._waiting.append(self._slot)
        if not self._free:
            self._store()
        self._slot = self._free.popleft()

    def _store(self) -> None:
        """Write the earliest frame that is on its way."""
        frame, seen = self._crew.take()
        slot = self._waiting.popleft()
        self._out.write(frame)
        self._table.add(slot.size, len(frame))
        self.looks += seen
        slot.size = 0
        self._free.append(slot)


def _compress(slot: _Slot, look: Optional[Look]) -> Any:
    content = slot.content[: slot.size]
    return slot.compress(content), [look(content)] if look else []


def _gzip_member(level: int, data: memoryview) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, WRAPPED)  # writes no time and no name
    return compressor.compress(data) + compressor.flush()


def frame_contents(read_at: ReadAt, table: FrameTable, jobs: int) -> Iterator[bytes]:
    """The contents of all frames, in order, decompressed on ``jobs`` threads.

    Raises:
        ValueError: a frame is not as the table says.
        HostError: ``no-libzstd``.
    """

    def content(frame: Frame) -> bytes:
        return frame_content(table.compression, read_at(frame.stored_offset, frame.stored_size), frame.size)

    with Crew(content, jobs) as crew:
        yield from crew.each(table)
