"""What the core says and gdb does not give to Python: what was mapped, with which rights, from which file.

And the signal: gdb takes the one in the last thread's note, where the kernel writes it too, but not qemu-user.
"""

import bisect
import functools
import struct
from collections.abc import Iterable, Mapping
from typing import Literal

from corebox.coredump.core import open_core
from corebox.coredump.header import PF_W, PF_X, Header
from corebox.coredump.values import FileMapping, Segment

PATH = "/.corebox/core"
PF_R = 4
__all__ = ["PATH", "PF_R", "PF_W", "PF_X", "Mapped", "MappedCore", "opened"]


class Mapped:
    """A run of memory of one set of rights; ``path`` is the mapped file's, "" without one, ``offset`` where in it."""

    def __init__(self, start: int, end: int, flags: int) -> None:
        self.start, self.end, self.flags, self.path, self.offset = start, end, flags, "", 0

    def rights(self) -> str:
        """As /proc/PID/maps has them: ``r-x``."""
        return "".join(char if self.flags & bit else "-" for char, bit in (("r", PF_R), ("w", PF_W), ("x", PF_X)))


class MappedCore:
    """The memory of the process as its core describes it.

    Attributes:
        order: byte order as ``struct`` has it.
        byte_order: "little" or "big".
        word: bytes of an address.
        signal: what the first thread died of, None if it did not.
        auxv: the auxiliary vector (getauxval(3)) by key.
        mappings: what was mapped, by address.
        files: what was mapped from files, also where the core has no mapping: gcore leaves out what files have.
    """

    def __init__(
        self,
        header: Header,
        segments: Iterable[Segment],
        files: Iterable[FileMapping] = (),
        signal: int | None = None,
        auxv: Mapping[int, int] | None = None,
    ) -> None:
        self.order, self.word = header.order, header.word_size
        self.byte_order: Literal["little", "big"] = "little" if header.order == "<" else "big"
        self.signal, self.auxv = signal, auxv or {}
        self.mappings, self.files = _joined(segments), list(files)
        for file in self.files:
            self._name(file)

    def _name(self, file: FileMapping) -> None:
        index = self._cut(file.start)
        if index is not None:
            self._cut(file.end)
            path = file.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            self.mappings[index].path = path + " (deleted)" if file.deleted else path
            self.mappings[index].offset = file.file_offset

    def _cut(self, address: int) -> int | None:
        """Let a mapping begin at ``address``, which neighbours may have been joined over; its index, or None."""
        index = self._index(address)
        if index is None or self.mappings[index].start == address:
            return index
        each = self.mappings[index]
        self.mappings.insert(index + 1, Mapped(address, each.end, each.flags))
        each.end = address
        return index + 1

    def _index(self, address: int) -> int | None:
        index = bisect.bisect_right(self.mappings, address, key=lambda each: each.start) - 1
        return index if index >= 0 and address < self.mappings[index].end else None

    def unpack(self, code: str, data: bytes, at: int) -> tuple[int, ...]:
        """Values at an offset, in the core's byte order; see struct."""
        return struct.unpack_from(self.order + code, data, at)

    def at(self, address: int) -> Mapped | None:
        """The mapping that has ``address``, or None."""
        index = self._index(address)
        return None if index is None else self.mappings[index]

    def file_at(self, address: int) -> FileMapping | None:
        """What was mapped from a file at an address, or None."""
        return next((each for each in self.files if each.start <= address < each.end), None)

    def next_to(self, address: int, most: int) -> Mapped | None:
        """The nearest mapping that begins at most ``most`` bytes above ``address``, or None."""
        index = bisect.bisect_left(self.mappings, address, key=lambda each: each.start)
        found = self.mappings[index] if index < len(self.mappings) else None
        return found if found is not None and found.start - address <= most else None

    def below(self, address: int) -> Mapped | None:
        """The last mapping that begins at or below ``address``, or None."""
        index = bisect.bisect_right(self.mappings, address, key=lambda each: each.start) - 1
        return self.mappings[index] if index >= 0 else None


def _joined(segments: Iterable[Segment]) -> list[Mapped]:
    """Neighbours of equal rights are one: the compact core cuts a mapping at its holes."""
    found: list[Mapped] = []
    for each in sorted(segments, key=lambda each: each.address):
        if found and found[-1].end == each.address and found[-1].flags == each.flags:
            found[-1].end += each.memory_size
        elif each.memory_size:
            found.append(Mapped(each.address, each.address + each.memory_size, each.flags))
    return found


@functools.lru_cache(maxsize=1)
def opened() -> MappedCore:
    """The core that gdb has open; raises an InputError if it is none, or is not there."""
    with open_core(PATH) as core:
        return MappedCore(core.header, core.segments, core.mappings, core.process.signal, core.auxv)
