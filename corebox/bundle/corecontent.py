"""What a bundle holds of a core: the compact one, made of a core file, or out of an image's layer; and its layout."""

import io
import json
import os
from typing import TYPE_CHECKING, Callable, Iterator, Optional, Union

from corebox.coredump.core import CoreFile
from corebox.files.extents import Extent, read_at
from corebox.files.faults import changed, reading
from corebox.reduce.compact import MIN_HOLE_LENGTH, plan_compaction

if TYPE_CHECKING:
    from corebox.files.ahead import Ahead

#: Called with offset and bytes of a piece of the original core; returns as many bytes.
Change = Callable[[int, bytes], bytes]
#: Of a compact core: bytes, some of a file, or so many zeros.
Part = Union[bytes, Extent, int]


class CompactCore:
    """The compact form of a core file, made while it is read.

    Args:
        core: the open core.
        change: what becomes of each piece of its memory on the way; it keeps its length.
        on_progress: called with the number of bytes whenever some were searched for zeros, before there are blocks.
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

    def blocks(self, space: Callable[[], memoryview]) -> Iterator[memoryview]:
        """All of it, in blocks as long as the memory that ``space`` gives for each; holes are not read.

        Raises:
            InputError: ``file-changed``, ``cannot-read``.
        """
        yield from _fill(self._parts(), self._core.content(), space, self._change)
        if os.fstat(self._core.fileno()).st_size != self._core.size:
            raise changed(self._core.path)

    def _parts(self) -> Iterator[Part]:
        yield self._plan.head
        for run in self._plan.runs:
            position, end = run.original, run.original + run.size
            for extent in _merged(self._core.extents(position, end)):
                yield extent.offset - position
                yield extent
                position = extent.offset + extent.size
            yield end - position
        yield self._plan.tail


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

    def blocks(self, space: Callable[[], memoryview]) -> Iterator[memoryview]:
        """All of it, as of ``CompactCore``."""
        file = io.FileIO(self._descriptor, closefd=False)
        yield from _fill(iter([Extent(self._offset, self.size)]), file, space, None)


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


def _fill(
    parts: Iterator[Part], content: io.RawIOBase, space: Callable[[], memoryview], change: Optional[Change]
) -> Iterator[memoryview]:
    """The parts one behind the other, in blocks."""
    with content as file:
        block, filled = space(), 0
        for part in parts:
            done, size = 0, _size_of(part)
            while done < size:
                free = block[filled : filled + size - done]
                _put(part, done, free, file, change)
                done += len(free)
                filled += len(free)
                if filled == len(block):
                    yield block
                    block, filled = space(), 0
        if filled:
            yield block[:filled]


def _size_of(part: Part) -> int:
    return part if isinstance(part, int) else part.size if isinstance(part, Extent) else len(part)


def _put(part: Part, done: int, free: memoryview, file: io.RawIOBase, change: Optional[Change]) -> None:
    """Fill ``free`` with what follows ``done`` bytes of the part."""
    if isinstance(part, Extent):
        _read(file, part.offset + done, free)
        if change:
            free[:] = change(part.offset + done, free.tobytes())
    elif isinstance(part, int):
        free[:] = bytes(len(free))
    else:
        free[:] = part[done : done + len(free)]


def _read(file: io.RawIOBase, offset: int, space: memoryview) -> None:
    with reading("the core"):
        file.seek(offset)
        while space:
            count: int = file.readinto(space)
            if not count:
                raise changed("the core")
            space = space[count:]
