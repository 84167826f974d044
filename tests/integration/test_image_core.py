"""The compact core in an image: small, without holes, and for every gdb the same memory as the original."""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from tests.support.lab import Lab

MIB = 1 << 20
HEAP = 192 * MIB

# Islands of data in a heap of holes, a stack, file mappings, and memory that was never touched.
PROGRAM = """
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
int main(void) {
    char *heap = mmap(0, HEAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t at = 0; at < HEAP; at += 8 << 20) memset(heap + at + 12345, 'a' + at % 23, 300000);
    mmap(0, HEAP, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    abort();
}
""".replace("HEAP", str(HEAP))

HASH_ALL = """
import gdb, hashlib, json, sys
digest, unreadable = hashlib.sha256(), 0
for start, size in json.load(open(SEGMENTS)):
    for at in range(start, start + size, 1 << 20):
        count = min(1 << 20, start + size - at)
        try:
            digest.update(gdb.selected_inferior().read_memory(at, count))
        except gdb.MemoryError:
            unreadable += 1
            digest.update(b"?")
print("memory:", digest.hexdigest(), unreadable)
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core as the kernel wrote it, beside its program."""
    folder = tmp_path_factory.mktemp("holes")
    (folder / "holes.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-g", "-o", folder / "holes", folder / "holes.c"], check=True)
    subprocess.run([folder / "holes"], cwd=folder, check=False)
    (core,) = folder.glob("core*")
    return core


@pytest.fixture(scope="module")
def bundle(lab: Lab, original: Path) -> Path:
    """Its bundle."""
    out = original.parent / "holes.corebox"
    lab.done("gather", original, "-o", out)
    return out


@pytest.fixture(scope="module")
def layer(lab: Lab, bundle: Path) -> Path:
    """The core's layer in the store."""
    (core,) = [layer for layer in lab.build(bundle)["layers"] if layer["kind"] == "core"]
    return lab.home / "oci" / "blobs" / "sha256" / str(core["digest"])[7:]


@pytest.fixture(scope="module")
def compact(bundle: Path, layer: Path) -> Path:
    """The core as it lies in the image's layer."""
    out = bundle.parent / "compact"
    with tarfile.open(layer) as archive:
        member = archive.getmember(".corebox/core")
        source = archive.extractfile(member)
        assert source is not None
        assert not member.issparse()
        with out.open("wb") as target:
            shutil.copyfileobj(source, target)
    return out


def test_holes_are_gone_from_the_layer(original: Path, compact: Path) -> None:
    stored = original.stat().st_blocks * 512
    assert original.stat().st_size > HEAP
    assert stored < 12 * MIB
    assert compact.stat().st_size < stored + MIB


def memory_of(gdb: str, program: Path, core: Path, segments: Path, scratch: Path) -> str:
    """What a gdb says of all memory."""
    script = scratch / "hash.py"
    script.write_text(HASH_ALL.replace("SEGMENTS", repr(str(segments))))
    command: list[str | Path] = [
        gdb,
        "-nx",
        "-batch",
        "-iex",
        "set debuginfod enabled off",
        "-x",
        script,
        program,
        core,
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = [str(line) for line in shown.stdout.splitlines() if line.startswith("memory:")]
    return line


@pytest.mark.parametrize("gdb", ["/usr/bin/gdb", str(Path(sys.executable).parent / "gdb")], ids=["host", "toolbox"])
def test_every_byte_of_memory_is_the_same_for_gdb(
    original: Path, compact: Path, layer: Path, gdb: str, tmp_path: Path
) -> None:
    segments = tmp_path / "segments.json"
    with open_core(str(original)) as core:
        segments.write_text(
            json.dumps([(each.address, each.memory_size) for each in core.segments if each.memory_size])
        )
    program = original.parent / "holes"
    wanted = memory_of(gdb, program, original, segments, tmp_path)
    assert memory_of(gdb, program, compact, segments, tmp_path) == wanted
    assert memory_of(gdb, program, layer, segments, tmp_path) == wanted, "the layer is a core, too"
    assert int(wanted.split()[-1]) < 10, "nearly all memory can be read"


def test_building_needs_little_memory(fresh_lab: Lab, bundle: Path) -> None:
    # VmHWM begins anew with exec; getrusage's figure would be ours where that is higher.
    code = (
        "import re, sys; from corebox.cli.main import main; status = main(sys.argv[1:]); "
        "print('peak', re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1]); sys.exit(status)"
    )
    measured = Lab(fresh_lab.home, (sys.executable, "-c", code)).done("build", "--no-load", bundle).output
    peak = int(measured.split()[-1])  # KiB (proc_pid_status(5))
    assert peak < 150 << 10
