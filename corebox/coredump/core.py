"""A core file, opened."""

import io
import os
from typing import Dict, Iterator, Optional, Tuple

from corebox.coredump import machines, notes
from corebox.coredump.header import PF_X
from corebox.coredump.linkmap import walk_link_map
from corebox.coredump.memory import Memory
from corebox.coredump.modules import Facts, find_modules
from corebox.coredump.process import CoreNotes, collect_notes, describe_process
from corebox.coredump.systems import AT_EXECFN
from corebox.coredump.table import ProgramTable, measure_truncation, read_table
from corebox.coredump.values import FileMapping, LinkMapEntry, Module, Process, Segment, Truncation
from corebox.files.extents import Extent, open_regular, read_at, stored_extents

_Modules = Tuple[Tuple[Module, ...], Tuple[FileMapping, ...]]


class CoreFile:
    """A core file, opened for reading; a context manager. Facts are worked out when first asked for.

    Attributes:
        path: as given to ``open_core``.
        size: apparent size of the file.
        header: its ELF header.
        table: its program headers and how much of them is there.
        memory: the memory of the process.
    """

    def __init__(self, path: str, descriptor: int, table: ProgramTable) -> None:
        self.path = path
        self.size = os.fstat(descriptor).st_size
        self.header = table.header
        self.table = table
        self.memory = Memory(self.read_file, table.segments, table.header.order, table.header.word_size)
        self._descriptor = descriptor
        self._notes: Optional[CoreNotes] = None
        self._link_map: Optional[Tuple[LinkMapEntry, ...]] = None
        self._modules: Optional[_Modules] = None

    def __enter__(self) -> "CoreFile":
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; only facts already worked out can be asked for afterwards."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def fileno(self) -> int:
        """The file's descriptor, for copying ranges of it."""
        return self._descriptor

    @property
    def machine(self) -> str:
        """The machine, named as by ``uname -m`` (32-bit x86 is "i386")."""
        return machines.machine_name(self.header.machine, self.header.bits, self.header.byte_order)

    @property
    def system(self) -> str:
        """The system that wrote the core: "Linux", "FreeBSD", "NetBSD", "OpenBSD", "Solaris", "ESP-IDF"."""
        return self.notes.system

    @property
    def bits(self) -> int:
        """32 or 64."""
        return self.header.bits

    @property
    def byte_order(self) -> str:
        """The byte order: "little" or "big"."""
        return self.header.byte_order

    @property
    def segments(self) -> Tuple[Segment, ...]:
        """The PT_LOADs, in file order."""
        return self.table.segments

    @property
    def notes(self) -> CoreNotes:
        """The notes, parsed."""
        if self._notes is None:
            found = notes.read_notes(self._descriptor, self.header, self.table.notes)
            self._notes = collect_notes(self.header, found, self.read_file)
        return self._notes

    @property
    def process(self) -> Process:
        """Who crashed, of what, with which threads."""
        address = self.auxv.get(AT_EXECFN)
        executable = os.fsdecode(self.memory.read_string(address)) if address else ""
        return describe_process(self.header, self.notes, executable or None)

    @property
    def auxv(self) -> Dict[int, int]:
        """The auxiliary vector (getauxval(3)) by key."""
        return self.notes.auxv

    @property
    def mappings(self) -> Tuple[FileMapping, ...]:
        """NT_FILE."""
        return self.notes.mappings

    @property
    def link_map(self) -> Tuple[LinkMapEntry, ...]:
        """The dynamic linker's list, in load order; empty for static executables and where the core lacks it."""
        if self._link_map is None:
            self._link_map = walk_link_map(self.memory, self.header, self.auxv)
        return self._link_map

    @property
    def modules(self) -> Tuple[Module, ...]:
        """The mapped ELF files, the executable first, then by address."""
        return self._find_modules()[0]

    @property
    def other_files(self) -> Tuple[FileMapping, ...]:
        """The mapped files that are no ELF modules, each by its first mapping."""
        return self._find_modules()[1]

    def _find_modules(self) -> _Modules:
        if self._modules is None:
            process = self.process
            ordered = sorted((s for s in self.segments if s.memory_size), key=lambda s: s.address)
            facts = Facts(
                self.memory,
                self.header,
                self.auxv,
                [s.address for s in ordered],
                [s.address + s.memory_size for s in ordered],
                {s.address for s in ordered if s.flags & PF_X},
                self.mappings,
                self.link_map,
                sorted((entry.dynamic, index) for index, entry in enumerate(self.link_map)),
                process.executable,
                process.name,
            )
            modules, others = find_modules(facts)
            self._modules = tuple(_within(module, 1 << self.bits) for module in modules), others
        return self._modules

    @property
    def truncation(self) -> Optional[Truncation]:
        """What is missing at the end of the file, or None if it is whole."""
        return measure_truncation(self.table, self.size)

    @property
    def stored_size(self) -> int:
        """Bytes outside holes."""
        return sum(extent.size for extent in self.extents())

    def extents(self, start: int = 0, end: Optional[int] = None) -> Iterator[Extent]:
        """The runs of stored bytes, in file order; one run where the file system cannot tell."""
        return stored_extents(self._descriptor, self.size if end is None else end, start)

    def content(self) -> io.RawIOBase:
        """All of the file, with a position of its own or of the descriptor's."""
        return io.FileIO(self._descriptor, closefd=False)

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes of memory; raises InputError memory-not-in-core."""
        return self.memory.read(address, size)

    def read_available(self, address: int, size: int) -> bytes:
        """As many of ``size`` bytes of memory as the core has from ``address`` on."""
        return self.memory.read_available(address, size)

    def read_file(self, offset: int, size: int) -> bytes:
        """Bytes of the core file itself, fewer at its end."""
        return read_at(self._descriptor, offset, size)


def _within(module: Module, top: int) -> Module:
    """The module with addresses that memory has: headers and names in a core may say anything."""
    start = max(0, min(module.start, top - 1))
    return module._replace(start=start, end=max(start, min(module.end, top - 1)))


def open_core(path: str) -> CoreFile:
    """Open a core file; raises InputError not-a-core, no-such-file, cannot-read."""
    descriptor = open_regular(path)
    try:
        return CoreFile(path, descriptor, read_table(descriptor, path))
    except BaseException:
        os.close(descriptor)
        raise
