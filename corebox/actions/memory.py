"""Has it run out of memory? What a core can say about it, with the evidence."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from corebox.bundle import Manifest, MemoryEntry

#: vm.max_map_count unless somebody changed it: mmap(2) fails with ENOMEM beyond (Linux, include/linux/mm.h).
MOST_MAPPINGS = 65530
#: What a process of 32 bits may map at most; a 64-bit kernel gives it nearly all of that.
NARROW = dict.fromkeys(("i386", "i486", "i586", "i686", "arm", "armv7l", "ppc", "mips"), 4 << 30)
_NEARLY = 0.95
_NARROW_NEARLY = 0.70  # 32-bit kernels keep a quarter for themselves, and holes are too short to be used


@dataclass(frozen=True)
class MemoryVerdict:
    """The answer: ``no-sign``, ``address-space-full``, ``too-many-mappings`` or ``cannot-tell``.

    ``held`` is the anonymous memory, resident or swapped, in bytes, None if the core cannot tell; it is right to a
    page for each mapping, ``error`` in all. ``evidence`` are sentences.
    """

    verdict: str
    held: int | None
    error: int | None
    evidence: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The ``memory`` object of ``schema/info-1.schema.json``."""
        return {**vars(self), "evidence": list(self.evidence)}


def judge_memory(manifest: Manifest) -> MemoryVerdict:
    """What the memory by kind says; the size of the machine and of a container's limit are in no core."""
    memory = manifest.memory
    mapped = sum(entry.virtual for entry in memory)
    mappings = None if any(entry.mappings is None for entry in memory) else sum(e.mappings or 0 for e in memory)
    space = NARROW.get(manifest.site.machine)
    held, error = _held(memory)
    if not memory:
        return MemoryVerdict("cannot-tell", None, None, ("the core has no memory, or lost its headers",))
    if mappings is not None and mappings > MOST_MAPPINGS * _NEARLY:
        verdict = "too-many-mappings"
    elif space is not None and mapped > space * _NARROW_NEARLY:
        verdict = "address-space-full"
    else:
        verdict = "no-sign"
    return MemoryVerdict(verdict, held, error, tuple(_evidence(manifest, mapped, mappings, space)))


def _held(memory: tuple[MemoryEntry, ...]) -> tuple[int | None, int | None]:
    anonymous = [entry for entry in memory if entry.kind != "file"]
    if not anonymous or any(entry.resident is None for entry in anonymous):
        return None, None
    return sum(entry.resident or 0 for entry in anonymous), 4096 * sum(entry.mappings or 0 for entry in anonymous)


def _evidence(manifest: Manifest, mapped: int, mappings: int | None, space: int | None) -> Iterator[str]:
    if manifest.process.signal is not None:
        yield "the kernel's out-of-memory killer leaves no core (SIGKILL), so it was not that"
    if mappings is not None:
        yield f"{mappings} mappings; Linux allows {MOST_MAPPINGS} unless vm.max_map_count says otherwise"
    if space is not None:
        yield f"{mapped >> 20} MiB mapped of the {space >> 20} MiB that a {manifest.site.machine} process can address"
    if any(entry.resident is None for entry in manifest.memory):
        yield "the core has no holes (came through a pipe, from gcore, or was copied): what was resident is not known"
    yield "the machine's memory, ulimit -v and a container's limit are in no core: ask the site for them"
