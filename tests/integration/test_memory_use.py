"""What a core says about memory, against what the kernel said to the process just before it crashed."""

import re
import subprocess
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.coredump.usage import MemoryUse, measure_memory
from corebox.files.diskroot import DiskRoot
from corebox.gather.collect import GatherOptions, collect
from corebox.report.memory import judge_memory
from tests.support.lab import Lab
from tests.support.programs import FOLDER

KIB = 1024


def crash(folder: Path) -> dict[str, int]:
    """Crash the program in a folder; the kernel's figures in bytes."""
    program = folder / "touch"
    subprocess.run(["gcc", "-O0", "-pthread", str(FOLDER / "memory" / "touch.c"), "-o", str(program)], check=True)
    said = subprocess.run([str(program)], cwd=folder, stdout=subprocess.PIPE, text=True, check=False).stdout
    return {name: int(size) * KIB for name, size in re.findall(r"(\w+):\s+(\d+) kB", said)}


def measure(path: Path) -> dict[str, MemoryUse]:
    with open_core(str(path)) as core:
        return {use.kind: use for use in measure_memory(core)}


def test_resident_anonymous_memory_is_told_within_two_percent(tmp_path: Path) -> None:
    said = crash(tmp_path)
    found = measure(tmp_path / "core")
    resident = sum(use.resident or 0 for kind, use in found.items() if kind != "file")
    assert resident == pytest.approx(said["RssAnon"] + said["VmSwap"], rel=0.02)
    assert sum(use.virtual for use in found.values()) == pytest.approx(said["VmSize"], rel=0.001)
    assert found["heap"].resident == pytest.approx(3000 * 10016, rel=0.02)
    assert found["stack"].resident == pytest.approx(4 * 300000, rel=0.2)
    assert (found["arena"].virtual, found["arena"].mappings) == (4 * 64 << 20, 8)  # a used part and a rest each
    assert found["arena"].resident == pytest.approx(4 * 20 * 50016, rel=0.02)
    assert found["anonymous"].virtual > 1024 << 20
    assert found["anonymous"].resident == pytest.approx(150 << 20, rel=0.02)


#: Ways to a core whose holes, if any, are not the kernel's.
COPIES = {
    "a pipe": "cat core > out/copy",
    "holes made of zeros": "cp --sparse=always core out/copy",
    "a compressor": "gzip -1 < core > out/copy.gz",
    "a packed copy": "tar -cS --hole-detection=raw core | tar -x -C out",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the core of a program that has written zeros to some of its memory."""
    folder = tmp_path_factory.mktemp("small")
    source = (
        "#include <stdlib.h>\nint main(void) { for (int i = 0; i < 64 << 10; i++) *(char *)malloc(1000) = 0; abort(); }"
    )
    subprocess.run(["gcc", "-x", "c", "-", "-o", str(folder / "small")], input=source, text=True, check=True)
    subprocess.run([str(folder / "small")], cwd=folder, check=False)
    return folder


@pytest.mark.parametrize("way", COPIES)
def test_a_core_whose_holes_are_not_the_kernels_cannot_tell(way: str, small: Path, lab: Lab, tmp_path: Path) -> None:
    subprocess.run(f"mkdir out && cp {small}/core core && {COPIES[way]}", shell=True, cwd=tmp_path, check=True)
    (copy,) = (tmp_path / "out").iterdir()
    bundle = tmp_path / "copy.corebox"
    lab.done("gather", copy, "-o", bundle)
    document = lab.done("info", bundle, "--json").json
    assert document["memory"]["held"] is None
    assert {each["resident"] for each in document["manifest"]["memory"]} == {None}
    assert "cannot tell" in lab.done("info", bundle).output


def test_a_core_that_the_kernel_wrote_tells_also_in_a_bundle(small: Path, lab: Lab, tmp_path: Path) -> None:
    lab.done("gather", small / "core", "-o", tmp_path / "x.corebox")
    assert lab.done("info", tmp_path / "x.corebox", "--json").json["memory"]["held"] == pytest.approx(65.6e6, rel=0.02)


EXHAUST = r"""
#include <stdlib.h>
#include <sys/mman.h>
int main(void) {
    for (int rights = PROT_READ;; rights ^= PROT_WRITE) /* neighbours of unlike rights stay apart */
        if (mmap(0, 4096, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) abort();
}
"""


def test_a_process_that_ran_out_of_mappings_is_told(tmp_path: Path, lab: Lab) -> None:
    program = tmp_path / "exhaust"
    subprocess.run(["gcc", "-x", "c", "-", "-o", str(program)], input=EXHAUST, text=True, check=True)
    subprocess.run([str(program)], cwd=tmp_path, check=False)
    with open_core(str(tmp_path / "core")) as core, DiskRoot("/") as root:
        judged = judge_memory(collect(core, root, GatherOptions()).manifest)
    assert judged.verdict == "too-many-mappings"
    assert any("65530" in sentence for sentence in judged.evidence)
    shown = lab.corebox("info", tmp_path / "core").output
    assert "It probably ran out of mappings" in shown


def test_a_process_of_a_usual_size_shows_no_sign(tmp_path: Path, lab: Lab) -> None:
    said = crash(tmp_path)
    with open_core(str(tmp_path / "core")) as core, DiskRoot("/") as root:
        judged = judge_memory(collect(core, root, GatherOptions()).manifest)
    assert judged.verdict == "no-sign"
    assert judged.held is not None
    assert judged.error is not None
    assert abs(judged.held - said["RssAnon"] - said["VmSwap"]) <= judged.error
    assert "No sign that it ran out of memory" in lab.corebox("info", tmp_path / "core").output
