"""Has it run out of memory? What a core can say about it, with the evidence."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from corebox.bundle.manifest import Manifest, MemoryEntry

#: vm.max_map_count unless somebody changed it: mmap(2) fails with ENOMEM beyond (Linux, include/linux/mm.h).
MAX_MAPPINGS = 65530
#: Machines of 32 bits. A 64-bit kernel leaves them 4 GiB; their own keeps the uppermost quarter for itself, so that
#: nothing is mapped there (Linux, CONFIG_VMSPLIT_3G).
NARROW = frozenset(("i386", "arm", "armeb", "ppc", "ppcle"))
_WIDE_SPACE, _USUAL_SPACE = 4 << 30, 3 << 30
#: Allocations fail a little earlier: what is left is in many pieces.
_NEARLY = 0.92
#: The kernel counts a few that are in no core otherwise; with more, somebody has raised the limit.
_LAST_MAPPING = MAX_MAPPINGS + 16

_VIRTUAL_MACHINE = ("java-out-of-memory", "javascript-out-of-memory")


class MemoryVerdict(NamedTuple):
    """The answer.

    Attributes:
        verdict: ``no-sign``, ``allocation-failed``, ``address-space-full``, ``too-many-mappings`` or ``cannot-tell``.
        held: anonymous memory, resident or swapped, in bytes; None if the core cannot tell.
        error: how wrong ``held`` may be: a page for each mapping.
        evidence: sentences.
    """

    verdict: str
    held: int | None
    error: int | None
    evidence: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The ``memory`` object of ``schema/info-1.schema.json``."""
        return {**self._asdict(), "evidence": list(self.evidence)}


def judge_memory(manifest: Manifest, cause: str | None = None) -> MemoryVerdict:
    """What the memory by kind says; the size of the machine and of a container's limit are in no core.

    ``cause`` is the kind of fault, if gdb was asked.
    """
    memory = manifest.memory
    if not memory:
        return MemoryVerdict("cannot-tell", None, None, ("the core has no memory, or lost its headers",))
    mapped = sum(entry.virtual for entry in memory)
    mappings = None if any(entry.mappings is None for entry in memory) else sum(e.mappings or 0 for e in memory)
    space = _address_space(manifest)
    held, error = _held(memory)
    verdict = "no-sign"
    if mappings is not None and MAX_MAPPINGS * _NEARLY < mappings <= _LAST_MAPPING:
        verdict = "too-many-mappings"
    elif space is not None and mapped > space * _NEARLY:
        verdict = "address-space-full"
    elif cause == "bad-alloc":
        verdict = "allocation-failed"
    elif cause in _VIRTUAL_MACHINE:
        verdict = "virtual-machine-full"
    return MemoryVerdict(verdict, held, error, tuple(_evidence(manifest, mapped, mappings, space)))


def _address_space(manifest: Manifest) -> int | None:
    """What a process of 32 bits may map at most, in bytes; None for others, which never come near."""
    if manifest.site.machine not in NARROW:
        return None
    return _WIDE_SPACE if any(module.end > _USUAL_SPACE for module in manifest.modules) else _USUAL_SPACE


def _held(memory: tuple[MemoryEntry, ...]) -> tuple[int | None, int | None]:
    anonymous = [entry for entry in memory if entry.kind != "file"]
    if not anonymous or any(entry.resident is None for entry in anonymous):
        return None, None
    return sum(entry.resident or 0 for entry in anonymous), 4096 * sum(entry.mappings or 0 for entry in anonymous)


def _evidence(manifest: Manifest, mapped: int, mappings: int | None, space: int | None) -> Iterator[str]:
    if manifest.process.signal is not None:
        yield "the kernel's out-of-memory killer leaves no core (SIGKILL), so it is ruled out"
    if mappings is not None:
        limit = f"Linux allows {MAX_MAPPINGS} unless vm.max_map_count says otherwise"
        if mappings > _LAST_MAPPING:
            limit = f"more than the {MAX_MAPPINGS} that Linux allows, so vm.max_map_count was raised"
        yield f"{mappings} mappings; {limit}"
    if space is not None:
        yield f"{mapped >> 20} MiB mapped of the {space >> 20} MiB that a process of this kind can address"
    if any(entry.resident is None for entry in manifest.memory):
        yield (
            "what was resident cannot be determined: the holes of this core are not the kernel's; it came through a "
            "pipe or from gcore, or was compressed or copied"
        )
    yield "a core does not record the machine's memory, ulimit -v or a container's limit: ask the customer for them"
