"""A core file, opened."""

from typing import Dict, Iterator, Optional, Tuple

from corebox.coredump.values import Extent, FileMapping, LinkMapEntry, Module, Process, Segment, Truncation


class CoreFile:
    """A core file, opened for reading; facts are worked out when first asked for."""

    path: str
    size: int
    stored_size: int
    machine: str
    bits: int
    byte_order: str
    segments: Tuple[Segment, ...]
    process: Process
    mappings: Tuple[FileMapping, ...]
    modules: Tuple[Module, ...]
    link_map: Tuple[LinkMapEntry, ...]
    auxv: Dict[int, int]
    truncation: Optional[Truncation]
    other_files: Tuple[FileMapping, ...]

    def __enter__(self) -> "CoreFile":
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""

    def fileno(self) -> int:
        """The file descriptor, for copy_file_range and the like."""
        raise NotImplementedError

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes of memory; raises InputError memory-not-in-core."""
        raise NotImplementedError

    def read_available(self, address: int, size: int) -> bytes:
        """As many of ``size`` bytes of memory as the core has from ``address`` on."""
        raise NotImplementedError

    def extents(self) -> Iterator[Extent]:
        """The runs of stored bytes, in file order."""
        raise NotImplementedError


def open_core(path: str) -> CoreFile:
    """Open a core file; raises InputError not-a-core, HostError file-unreadable."""
    raise NotImplementedError
