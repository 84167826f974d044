"""The unwind information of an ELF image, looked for where gdb does.

It is read from the core's memory, by the table that the linker makes for binary search, and from the file's sections
where that has nothing.
"""

import array
import bisect
import itertools
import pathlib
import struct
from collections.abc import Iterator, Sequence

from corebox.coredump.header import HEADER_SIZE, PT_LOAD, entry_struct, parse_header, parse_segments
from corebox.coredump.values import Segment
from corebox.gdbside.frames.cfi import (
    MAX_ENTRY_SIZE,
    Bytes,
    DamagedError,
    Entry,
    Form,
    Read,
    common_information,
    description,
)
from corebox.gdbside.frames.cfisections import entries, frame_sections, text_addresses

_PT_GNU_EH_FRAME = 0x6474E550
_TABLE = 0x3B  # DW_EH_PE_datarel | DW_EH_PE_sdata4
_MAX_HEADERS, _MAX_ENTRIES = 256, 1 << 19


class Module:
    """The unwind information of an ELF image in the core's memory.

    Args:
        base: where its ELF header is; None if it is not in the core.
        text: where its section .text is, for when the header is not in the core.
        read: reads memory: address, size; raises what ``errors`` names if it cannot.
        form: byte order as struct has it, and bytes of an address.
        files: paths of the files that have its sections.
    """

    def __init__(
        self,
        base: int | None,
        text: int,
        read: Read,
        form: Form,
        files: Sequence[str],
        errors: tuple[type[Exception], ...],
    ) -> None:
        self._read, self._form, self._files = read, form, files
        self._errors: tuple[type[Exception], ...] = (*errors, DamagedError, struct.error)
        self._base = base
        self._sections: list[array.array[int]] | None = None
        self._data: list[tuple[Bytes, bool]] = []
        self.bias = 0
        self._table: int | None = None
        try:
            self._read_headers(read)
        except self._errors:
            self._table = None
            self.bias = next((self._bias_of(path, text) for path in files[:1]), 0)

    def _bias_of(self, path: str, text: int) -> int:
        """How far its addresses lie from where a file was linked, by the file: its header is not in the core."""
        base = self._base
        if base is None:
            return next((text - each for each in text_addresses(path)), 0)
        try:
            with pathlib.Path(path).open("rb") as file:

                def read(address: int, size: int) -> bytes:
                    file.seek(address - base)
                    return file.read(size)

                self._read_headers(read)
        except (OSError, ValueError, DamagedError, struct.error):
            self.bias, self._table = 0, None
        return self.bias

    def _read_headers(self, read: Read) -> None:
        if self._base is None:
            raise DamagedError
        header = parse_header(bytes(read(self._base, HEADER_SIZE)))
        if header is None or header.entries > _MAX_HEADERS:
            raise DamagedError
        size = header.entries * entry_struct(header).size
        table = bytes(read(self._base + header.table_offset, size))
        if len(table) < size:
            raise DamagedError
        found: dict[int, Segment] = {}
        for each in parse_segments(header, table):
            found.setdefault(each.kind, each)
        first = found.get(PT_LOAD)
        self.bias = self._base - (first.address - first.offset if first else self._base)
        if _PT_GNU_EH_FRAME in found:
            self._table = self.bias + found[_PT_GNU_EH_FRAME].address

    def entry(self, pc: int) -> Entry | None:
        """What is said of the code at ``pc``, or None; raises ``DamagedError`` where that cannot be told."""
        try:
            found = self._search(pc, self._table) if self._table is not None else None
        except self._errors:
            found = None
        return found or self._in_sections(pc)

    def _search(self, pc: int, table: int) -> Entry | None:
        """By the linker's table: version, three encodings, pointer, count, then pairs (LSB, ".eh_frame_hdr")."""
        head = self._read(table, 12)
        if head[3] != _TABLE:
            raise DamagedError
        data = Bytes(head, table, self._form)
        data.at = 4
        data.pointer(head[1])
        data.data += self._read(table + 12, 8)
        low, high = 0, data.number("I")
        first = table + data.at
        while low < high:
            middle = (low + high) // 2
            if table + self._pair(first, middle)[0] <= pc:
                low = middle + 1
            else:
                high = middle
        if not low:
            return None
        found = self._description(table + self._pair(first, low - 1)[1])
        return found if found.start <= pc < found.end else None

    def _pair(self, first: int, index: int) -> tuple[int, int]:
        start, place = struct.unpack(self._form[0] + "ii", self._read(first + 8 * index, 8))
        return start, place

    def _body(self, address: int) -> Bytes:
        """The bytes of an entry behind its length, and where they are."""
        (size,) = struct.unpack(self._form[0] + "I", self._read(address, 4))
        if not 0 < size < MAX_ENTRY_SIZE:
            raise DamagedError
        return Bytes(bytes(self._read(address + 4, size)), address + 4, self._form)

    def _description(self, address: int) -> Entry:
        data = self._body(address)
        common = self._body(data.address - data.number("I"))
        common.at = 4
        return description(data, common_information(common, True), self._form)

    def _in_sections(self, pc: int) -> Entry | None:
        if self._sections is None:
            # Three numbers of each, not what they say: there may be a million.
            every = sorted(itertools.islice(self._scan(), _MAX_ENTRIES))
            self._sections = [array.array("Q", (each[column] for each in every)) for column in range(3)]
        starts, sources, places = self._sections
        index = bisect.bisect_right(starts, pc) - 1
        if index < 0:
            return None
        found = self._read_entry(sources[index], places[index])
        return found if found is not None and found.start <= pc < found.end else None

    def _scan(self) -> Iterator[tuple[int, int, int]]:
        """Where each entry of the files' sections begins, which section it is in, and where in it."""
        for data, eh_frame in self._frame_data():
            source = len(self._data)
            self._data.append((data, eh_frame))
            for each, at in entries(data, eh_frame, self._form):
                yield each.start + self.bias & (1 << 64) - 1, source, at

    def _frame_data(self) -> Iterator[tuple[Bytes, bool]]:
        for path in self._files:
            for name, address, data in frame_sections(path):
                yield Bytes(data, address, self._form), name == ".eh_frame"

    def _read_entry(self, source: int, at: int) -> Entry | None:
        data, eh_frame = self._data[source]
        data.at = at
        found = next(iter(entries(data, eh_frame, self._form)), None)
        if found is None:
            return None
        entry, _ = found
        entry.start, entry.end = entry.start + self.bias, entry.end + self.bias
        return entry
