"""The core of a process that the kernel is dumping into a pipe, read from the process itself.

The kernel holds the process until its core has been read, and writes headers and notes first. With these, any byte of
the core can be had in any order: memory is read where it is, from ``/proc/PID/mem`` (proc(5)), and what else comes
through the pipe is not wanted. So nothing has to hold a copy of the core.

The process may map anything: what cannot be read is zeros, as in the kernel's own core.
"""

import contextlib
import io
import os
from bisect import bisect_right
from typing import Iterator, Optional, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.faults import not_a_core
from corebox.coredump.header import HEADER_SIZE, PN_XNUM, PT_NOTE, Header, entry_struct, parse_header, parse_segments
from corebox.coredump.table import read_table, section_zero
from corebox.coredump.values import Segment
from corebox.errors import InputError
from corebox.files.extents import PAGE, Extent, read_at
from corebox.files.faults import changed
from corebox.files.mounts import answering_devices
from corebox.files.temporary import unnamed_file
from corebox.printable import format_size

#: Of headers and notes: 64 threads of a large machine take 1 MiB.
_MAX_HEAD = 64 << 20
#: In /proc/PID/maps, what no file system has but the kernel itself: it is all there, touched or not.
_IN_KERNEL = (b"[vdso]", b"/memfd:", b"/SYSV", b"/dev/zero (deleted)")
_PAGES_AT_ONCE = 1 << 20
# Bits 62 and 63 of an entry of /proc/PID/pagemap: swapped out, or present.
_IS_THERE = bytes(1 if value & 0xC0 else 0 for value in range(256))


class Start:
    """What has been read of the pipe, in a file without a name: headers and notes, and what came with them."""

    def __init__(self, directory: str) -> None:
        self.descriptor = unnamed_file(directory, _MAX_HEAD)
        self.size = 0

    def __enter__(self) -> "Start":
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, which ends with it."""
        os.close(self.descriptor)

    def pieces(self) -> Iterator[bytes]:
        """The bytes, for who wants all of the core after all."""
        for position in range(0, self.size, PAGE):
            yield read_at(self.descriptor, position, min(PAGE, self.size - position))

    def read(self, pipe: Iterator[bytes], size: int) -> bytes:
        """Have at least ``size`` bytes if the pipe has; returns those."""
        while self.size < size:
            piece = next(pipe, b"")
            if not piece:
                break
            os.pwrite(self.descriptor, piece, self.size)
            self.size += len(piece)
        return read_at(self.descriptor, 0, size)


class DyingCore(CoreFile):
    """The core of the process as the kernel would have written it; ``place`` is where the process is told of."""

    def __init__(self, path: str, start: Start, place: str) -> None:
        descriptor = os.dup(start.descriptor)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, descriptor)
            self._mem = stack.enter_context(open(place + "/mem", "rb", buffering=0))
            self._pagemap = stack.enter_context(open(place + "/pagemap", "rb", buffering=0))
            self._as_present = dict(_as_present(place))
            table = read_table(descriptor, path)
            loads = sorted((s for s in table.segments if s.file_size), key=lambda s: s.offset)
            self._loads = loads
            self._offsets = [s.offset for s in loads]
            super().__init__(path, descriptor, table)
            self._opened = stack.pop_all()

    def close(self) -> None:
        """Close the file, and leave the process alone."""
        self._opened.close()
        self._descriptor = -1

    def read_file(self, offset: int, size: int) -> bytes:
        """Bytes of the core file itself, fewer at its end."""
        data = bytearray(max(0, min(size, self.size - offset)) if offset >= 0 else 0)
        left = memoryview(data)
        while left:
            count = self.read_into(offset, left)
            offset, left = offset + count, left[count:]
        return bytes(data)

    def read_into(self, offset: int, space: memoryview) -> int:
        """Fill the beginning of ``space``, or all, with what is at ``offset``; returns how many bytes."""
        index = bisect_right(self._offsets, offset) - 1
        segment = self._loads[index] if index >= 0 else None
        if segment and offset < segment.offset + segment.file_size:
            skip = offset - segment.offset
            return self._read_segment(segment, segment.address + skip, space[: segment.file_size - skip])
        following = self._offsets[index + 1] if index + 1 < len(self._offsets) else self.size
        space = space[: following - offset]
        found = read_at(self._descriptor, offset, len(space))
        space[: len(found)] = found
        return len(found)

    def _read_segment(self, segment: Segment, address: int, space: memoryview) -> int:
        if self._is_as_present(segment):
            low, size = next(self._touched(address, address + len(space)), (address + len(space), 0))
            if low > address:
                space[: low - address] = bytes(low - address)
                return low - address
            space = space[:size]
        try:
            self._mem.seek(address)
            count = self._mem.readinto(space)
        except (OSError, OverflowError):  # no such page, or one that nobody can read
            count = min(len(space), PAGE - address % PAGE)
            space[:count] = bytes(count)
        if not count:  # somebody has killed the process meanwhile
            raise changed(self.path)
        return int(count)

    def content(self) -> io.RawIOBase:
        """The whole core."""
        return _Content(self)

    def extents(self, start: int = 0, end: Optional[int] = None) -> Iterator[Extent]:
        """Headers and notes, and of memory what the process has ever touched."""
        stop = self.size if end is None else end
        if start < self._offsets[0]:
            yield Extent(start, min(stop, self._offsets[0]) - start)
        for index in range(max(0, bisect_right(self._offsets, start) - 1), len(self._loads)):
            segment = self._loads[index]
            low, high = max(start, segment.offset), min(stop, segment.offset + segment.file_size)
            shift = segment.address - segment.offset
            if low < high:
                if not self._is_as_present(segment):
                    yield Extent(low, high - low)  # what nobody has touched of a file is in the file
                    continue
                for begin, size in self._touched(low + shift, high + shift):
                    yield Extent(begin - shift, size)
        behind = self._loads[-1].offset + self._loads[-1].file_size
        if max(behind, start) < stop:
            yield Extent(max(behind, start), stop - max(behind, start))

    def _is_as_present(self, segment: Segment) -> bool:
        return self._as_present.get(segment.address, 0) >= segment.address + segment.file_size

    def _touched(self, start: int, end: int) -> Iterator[Tuple[int, int]]:
        """Where the process has pages: begin and size."""
        page = os.sysconf("SC_PAGE_SIZE")
        for first in range(start // page, -(-end // page), _PAGES_AT_ONCE):
            count = min(_PAGES_AT_ONCE, -(-end // page) - first)
            flags = read_at(self._pagemap.fileno(), first * 8, count * 8)[7::8].translate(_IS_THERE)
            flags = flags.ljust(count, b"\1")
            at = flags.find(1)
            while at >= 0:
                behind = flags.find(0, at)
                behind = count if behind < 0 else behind
                low, high = max(start, (first + at) * page), min(end, (first + behind) * page)
                yield low, high - low
                at = flags.find(1, behind)


class _Content(io.RawIOBase):
    def __init__(self, core: DyingCore) -> None:
        super().__init__()
        self._core = core
        self._position = 0

    def seek(self, offset: int, _whence: int = 0) -> int:
        self._position = offset
        return offset

    def readinto(self, space: memoryview) -> int:  # type: ignore[override]
        space = space[: max(0, self._core.size - self._position)]
        count = self._core.read_into(self._position, space) if space else 0
        self._position += count
        return count


def dying_core(path: str, start: Start, pipe: Iterator[bytes], place: str, time: int) -> DyingCore:
    """The core of the process told of at ``place``, of which ``pipe`` gives the beginning; ``path`` is for messages.

    Raises:
        InputError: what comes is no such core, or the process may not be read.
    """
    header = parse_header(start.read(pipe, HEADER_SIZE))
    first = _first(start, pipe, header) if header else None
    if header is None or first is None:
        raise not_a_core(path, start.read(pipe, HEADER_SIZE))
    end = first.offset + first.file_size
    if end > _MAX_HEAD or len(start.read(pipe, end)) < end:
        raise _unusual("its notes take {}, or are cut".format(format_size(first.file_size)))
    try:
        _complete(start, header, first.offset)
        os.utime(start.descriptor, (time, time))
        return DyingCore(path, start, place)
    except OSError as error:
        raise _unusual("its memory cannot be read: {}".format(error.strerror)) from error


def _first(start: Start, pipe: Iterator[bytes], header: Header) -> Optional[Segment]:
    """The first program header, if it is as the kernel writes it: of the notes, which follow the table."""
    if header.entry_size != entry_struct(header).size:
        return None
    table = start.read(pipe, header.table_offset + header.entry_size)[header.table_offset :]
    first = next(iter(parse_segments(header, table)), None)
    return first if first and first.kind == PT_NOTE and first.offset > header.table_offset else None


def _complete(start: Start, header: Header, notes: int) -> None:
    """Give the file the size of the whole core, and the section at its end that counts more than 65,534 headers."""
    descriptor = start.descriptor
    count = (notes - header.table_offset) // header.entry_size
    if header.entries == PN_XNUM:
        os.pwrite(descriptor, section_zero(header, count), header.section_offset)
        return
    found = parse_segments(header, read_at(descriptor, header.table_offset, count * header.entry_size))
    os.ftruncate(descriptor, max([start.size, *(each.offset + each.file_size for each in found)]))


def _unusual(why: str) -> InputError:
    return InputError("cannot-read", "the process cannot be used in place of its core: {}".format(why), "see the log")


def _as_present(place: str) -> Iterator[Tuple[int, int]]:
    """Start and end of each mapping of which only those pages are read that the process has in memory.

    Of memory without a file the others are zeros, and may be somebody's who never answers (userfaultfd(2)); of a file
    they may be a file system's that never does.
    """
    answering = answering_devices(place)
    with open(place + "/maps", "rb") as file:
        for line in file:
            words = line.split(None, 5)
            major, minor = (int(word, 16) for word in words[3].split(b":"))
            shared = len(words) == 6 and words[5].startswith(_IN_KERNEL)
            if (words[4] == b"0" or (major, minor) not in answering) and not shared:
                start, end = (int(word, 16) for word in words[0].split(b"-"))
                yield start, end
