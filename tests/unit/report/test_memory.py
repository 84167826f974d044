"""The answer to the question whether it has run out of memory."""

import pytest

from corebox.bundle.manifest import MemoryEntry
from corebox.report.memory import judge_memory
from tests.unit.bundle import samples

GIB = 1 << 30


def entry(virtual: int, resident: int | None = 0, mappings: int | None = 1, kind: str = "anonymous") -> MemoryEntry:
    return MemoryEntry(kind, virtual, virtual, resident, mappings)


@pytest.mark.parametrize(
    ("machine", "memory", "verdict"),
    [
        ("x86_64", [entry(100 * GIB)], "no-sign"),
        ("x86_64", [entry(GIB, mappings=65_000), entry(GIB, mappings=500, kind="file")], "too-many-mappings"),
        ("i386", [entry(GIB)], "no-sign"),
        ("i386", [entry(2 * GIB), entry(GIB, kind="file")], "no-sign"),  # modules above 3 GiB: the kernel has 64 bits
        ("i386", [entry(3 * GIB), entry(GIB, kind="file")], "address-space-full"),
        ("x86_64", [entry(GIB, mappings=None)], "no-sign"),  # an older bundle does not count them
        ("x86_64", [], "cannot-tell"),
    ],
)
def test_verdicts(machine: str, memory: list[MemoryEntry], verdict: str) -> None:
    manifest = samples.manifest()
    site = manifest.site._replace(machine=machine)
    assert judge_memory(manifest._replace(site=site, memory=tuple(memory))).verdict == verdict


def test_a_32_bit_kernel_keeps_a_quarter_of_the_addresses() -> None:
    manifest = samples.manifest(memory=(entry(3 * GIB),))
    low = manifest.modules[0]._replace(start=0xB7000000, end=0xB7001000)
    manifest = manifest._replace(site=manifest.site._replace(machine="i386"), modules=(low,))
    assert judge_memory(manifest).verdict == "address-space-full"


def test_a_failed_allocation_is_a_sign() -> None:
    manifest = samples.manifest(memory=(entry(GIB),))
    assert judge_memory(manifest, "bad-alloc").verdict == "allocation-failed"
    assert judge_memory(manifest, "java-out-of-memory").verdict == "virtual-machine-full"
    assert judge_memory(manifest, "javascript-out-of-memory").verdict == "virtual-machine-full"
    assert judge_memory(manifest, "null-dereference").verdict == "no-sign"


def test_what_was_held_is_anonymous_and_right_to_a_page_for_each_mapping() -> None:
    memory = (entry(GIB, 5000, 3), entry(GIB, 7000, 2, "heap"), entry(GIB, 9000, 9, "file"))
    judged = judge_memory(samples.manifest()._replace(memory=memory))
    assert (judged.held, judged.error) == (12000, 5 * 4096)


def test_a_core_without_holes_cannot_tell_what_was_held() -> None:
    judged = judge_memory(samples.manifest()._replace(memory=(entry(GIB, None),)))
    assert (judged.held, judged.error) == (None, None)
    assert any("cannot be determined" in sentence for sentence in judged.evidence)
