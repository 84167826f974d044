"""A core file, opened: everything it says, read when asked for and never before."""

import os
import stat
from bisect import bisect_right
from types import TracebackType
from typing import Dict, Iterator, List, Optional, Tuple, Type

from corebox.coredump import faults
from corebox.coredump.extents import iter_extents
from corebox.coredump.format import (
    ET_CORE,
    PN_XNUM,
    PT_LOAD,
    PT_NOTE,
    Header,
    parse_header,
    parse_program_headers,
)
from corebox.coredump.linkmap import read_link_map, read_string
from corebox.coredump.modules import Found, find_modules
from corebox.coredump.notes import AT_EXECFN, Notes, read_notes
from corebox.coredump.values import Extent, FileMapping, LinkMapEntry, Module, Process, Segment, Thread, Truncation

# The kernel's vm.max_map_count may be raised to 2**31; 4 million headers are 224 MB of table and a bound on our memory.
MAX_PROGRAM_HEADERS = 4 << 20


class CoreFile:
    """The facts of one core file. Make it with ``open_core``; a context manager that closes the file.

    Attributes:
        path: as given.
        size: in bytes, as ``ls`` shows it.
        header: the ELF header.
        segments: the PT_LOAD headers in file order.
    """

    def __init__(self, path: str, descriptor: int, size: int, header: Header) -> None:
        self.path = path
        self.size = size
        self.header = header
        self._descriptor = descriptor
        headers, self._expected_headers = self._read_program_headers()
        self.segments = tuple(each for each in headers if each.kind == PT_LOAD)
        self._note_segments = [each for each in headers if each.kind == PT_NOTE]
        self._by_address = sorted((each for each in self.segments if each.file_size), key=lambda each: each.address)
        self._starts = [each.address for each in self._by_address]
        self._notes = None  # type: Optional[Notes]
        self._link_map = None  # type: Optional[Tuple[LinkMapEntry, ...]]
        self._found = None  # type: Optional[Found]

    def __enter__(self) -> "CoreFile":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        os.close(self._descriptor)

    def _read_program_headers(self) -> Tuple[List[Segment], int]:
        layout = self.header.layout
        count = self.header.program_header_count
        if count == PN_XNUM:
            # The real count is sh_info of section 0, which the kernel writes behind all memory (elf_core_dump).
            section = self.read_file(self.header.section_headers_offset, layout.section_header_size)
            at = 44 if layout.bits == 64 else 28
            if len(section) >= at + 4:
                count = int.from_bytes(section[at : at + 4], "little" if layout.byte_order == "little" else "big")
            else:
                # Cut off with the end of the file: read headers until the first one that cannot be one.
                count = self._count_headers()
        count = min(count, MAX_PROGRAM_HEADERS)
        table = self.read_file(self.header.program_headers_offset, count * layout.program_header_size)
        return parse_program_headers(table, layout), count

    def _count_headers(self) -> int:
        """The number of program headers in a core that lost section 0: the first segment begins behind the table."""
        layout = self.header.layout
        first = parse_program_headers(
            self.read_file(self.header.program_headers_offset, layout.program_header_size), layout
        )
        room = (first[0].offset if first else self.size) - self.header.program_headers_offset
        return max(room, 0) // layout.program_header_size

    def read_file(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes of the file at ``offset``; fewer at its end.

        Raises:
            HostError: ``cannot-read``.
        """
        size = min(size, self.size - offset)
        if offset < 0 or size <= 0:
            return b""
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise faults.unreadable(self.path, error) from error

    def fileno(self) -> int:
        """The descriptor of the open file, for copying in the kernel."""
        return self._descriptor

    @property
    def machine(self) -> str:
        """The architecture as ``uname -m`` names it."""
        return self.header.machine_name

    @property
    def bits(self) -> int:
        """32 or 64."""
        return self.header.layout.bits

    @property
    def byte_order(self) -> str:
        """``little`` or ``big``."""
        return self.header.layout.byte_order

    @property
    def notes(self) -> Notes:
        """The notes, parsed."""
        if self._notes is None:
            self._notes = read_notes(self.read_file, self._note_segments, self.header.layout, self.machine)
        return self._notes

    @property
    def auxv(self) -> Dict[int, int]:
        """The auxiliary vector (getauxval(3)), by AT_ number."""
        return self.notes.auxv

    @property
    def process(self) -> Process:
        """The process: names, ids, signal."""
        executed_as = read_string(self.read_available, self.auxv.get(AT_EXECFN, 0))
        return self.notes.process._replace(executable=executed_as or None)

    @property
    def threads(self) -> Tuple[Thread, ...]:
        """The threads, the crashed one first."""
        return self.notes.process.threads

    @property
    def mappings(self) -> Tuple[FileMapping, ...]:
        """The rows of NT_FILE, () if the core has none."""
        return self.notes.mappings

    @property
    def link_map(self) -> Tuple[LinkMapEntry, ...]:
        """The dynamic loader's objects in its order, () for a static program or if the memory is lost."""
        if self._link_map is None:
            self._link_map = read_link_map(self.read_available, self.auxv, self.header.layout)
        return self._link_map

    @property
    def modules(self) -> Tuple[Module, ...]:
        """The mapped ELF files by address."""
        return self._files().modules

    @property
    def other_files(self) -> Tuple[FileMapping, ...]:
        """The first mapping of each mapped file that is no ELF file (data, devices, memfd)."""
        return self._files().others

    def _files(self) -> Found:
        if self._found is None:
            self._found = find_modules(
                self.read_available,
                self.header.layout,
                self.mappings,
                list(self.segments),
                self.link_map,
                self.auxv,
                self.process.executable,
            )
        return self._found

    @property
    def truncation(self) -> Optional[Truncation]:
        """What is missing at the end of the file, None if it is whole."""
        headers = list(self.segments) + self._note_segments
        table_end = self.header.program_headers_offset + self._expected_headers * self.header.layout.program_header_size
        expected = max([table_end] + [each.offset + each.file_size for each in headers if each.file_size])
        if expected <= self.size:
            return None
        lost = []
        if table_end > self.size:
            lost.append("headers")
        if not self._note_segments or not self.notes.complete:
            lost.append("notes")
        if not self.segments or any(each.offset + each.file_size > self.size for each in self.segments):
            lost.append("memory")
        return Truncation(expected, self.size, expected - self.size, tuple(lost))

    def extents(self) -> Iterator[Extent]:
        """The stored runs of the file in ascending order; holes are left out and never read."""
        return iter_extents(self._descriptor, self.size)

    @property
    def stored_size(self) -> int:
        """The number of bytes outside holes."""
        return sum(extent.size for extent in self.extents())

    def read_available(self, address: int, size: int) -> bytes:
        """As many of ``size`` bytes of memory at ``address`` as the core holds without a gap."""
        parts = []
        while size > 0:
            position = bisect_right(self._starts, address) - 1
            if position < 0:
                break
            segment = self._by_address[position]
            inside = address - segment.address
            data = self.read_file(segment.offset + inside, min(size, segment.file_size - inside))
            if not data:
                break
            parts.append(data)
            address += len(data)
            size -= len(data)
        return b"".join(parts)

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes of memory at ``address``.

        Raises:
            InputError: ``memory-not-in-core`` if not all of them were dumped.
        """
        data = self.read_available(address, size)
        if len(data) != size:
            raise faults.not_in_core(self.path, address, size)
        return data


def open_core(path: str) -> CoreFile:
    """Open the core file at ``path``.

    Raises:
        InputError: ``not-a-core`` (the message says what it is instead), ``no-such-file``.
        HostError: ``cannot-read``.
    """
    try:
        # Not to hang on a FIFO that somebody names like a core.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise faults.unreadable(path, error) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise faults.not_a_core(path, b"no regular file")
        start = os.pread(descriptor, 64, 0)
        header = parse_header(start)
        if header is None or header.kind != ET_CORE:
            raise faults.not_a_core(path, start)
        return CoreFile(path, descriptor, status.st_size, header)
    except OSError as error:
        os.close(descriptor)
        raise faults.unreadable(path, error) from error
    except BaseException:
        os.close(descriptor)
        raise
