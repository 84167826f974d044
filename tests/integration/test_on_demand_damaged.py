"""Blocks of a core that are damaged: what is read is right or an error, and the session goes on."""

import errno
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from corebox.files.seekable import Frame
from corebox.ondemand.mount import served
from corebox.ondemand.request import Request
from corebox.unbundle.around import AroundReader
from tests.support.dense import MiB, crash_dense, gather, nothing_is_left
from tests.support.lab import Lab

#: Reads some memory at each address that is given, and says what it found.
READ = """python
import json
found = {{}}
for address in json.loads({addresses!r}):
    try:
        found[address] = bytes(gdb.selected_inferior().read_memory(address, {size})).hex()
    except gdb.MemoryError:
        found[address] = None
print("FOUND", json.dumps(found))
end
print 6 * 7
info threads
"""
SIZE = 64

#: Of a core: where in memory a part begins, where in the file, and how long it is there.
Segment = tuple[int, int, int]


@pytest.fixture(scope="module")
def crash(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A core with 160 MiB that do not compress."""
    return crash_dense(tmp_path_factory.mktemp("dense"), 160)


@pytest.fixture(scope="module")
def dense(crash: Path) -> Path:
    """Its bundle."""
    return gather(crash, crash.parent / "dense.corebox")


def damage(bundle: Path, damaged: Path, chance: random.Random, count: int, first: int = 0) -> set[int]:
    """Change a byte in each of ``count`` blocks, none before ``first``; which they are."""
    stored = _stored_blocks(bundle)
    shutil.copy(bundle, damaged)
    bad = set(chance.sample(range(first, len(stored)), count))
    with damaged.open("r+b") as file:
        for index in bad:
            at = stored[index].stored_offset + chance.randrange(stored[index].stored_size)
            byte = os.pread(file.fileno(), 1, at)[0]
            os.pwrite(file.fileno(), bytes([byte ^ chance.randrange(1, 256)]), at)
    return bad


def _stored_blocks(bundle: Path) -> list[Frame]:
    with AroundReader(bundle) as reader:
        place = reader.around().place
        assert reader.table
        blocks = reader.table.blocks(place.offset, place.size, MiB)
        assert blocks
        return [reader.table[index] for index in blocks]


@pytest.mark.parametrize("seed", [1, 2])
def test_what_gdb_reads_is_right_or_an_error(
    fresh_lab: Lab, crash: Path, dense: Path, tmp_path: Path, seed: int
) -> None:
    """A hundred blocks damaged in each of two bundles: expected is what is in the core that the kernel has written."""
    chance = random.Random(seed)
    bad = damage(dense, tmp_path / "damaged.corebox", chance, 100, first=1)
    subprocess.run(["tar", "--zstd", "-xf", dense, "-C", tmp_path, "core"], check=True)
    compact, raw = _segments(tmp_path / "core"), _segments(crash)
    addresses = list(_addresses(compact, chance, 600))
    script = tmp_path / "read.gdb"
    script.write_text(READ.format(addresses=json.dumps(addresses), size=SIZE))
    words = (tmp_path / "damaged.corebox", script, "--engine", "bubblewrap", "--core", "on-demand")
    done = fresh_lab.corebox("run", *words)
    assert "= 42" in done.output, "the session goes on"
    assert done.output.count("LWP") >= 4
    (line,) = [each for each in done.output.splitlines() if each.startswith("FOUND ")]
    found = {int(address): text for address, text in json.loads(line.removeprefix("FOUND ")).items()}
    with crash.open("rb") as core:
        for address in addresses:
            at = _offset(compact, address)
            blocks = {at // MiB, (at + SIZE - 1) // MiB}
            right = os.pread(core.fileno(), SIZE, _offset(raw, address)).hex()
            assert found[address] == (None if blocks & bad else right)
    assert 200 < list(found.values()).count(None) < 500, "both were looked at"
    assert done.errors.count("cannot be read: its bytes do not match their digest in core.digests") == 8
    assert done.errors.count("more of the core cannot be read") == 1
    assert nothing_is_left(fresh_lab.home)
    assert not list((fresh_lab.home / "tmp").glob("*/.corebox-tmp-*"))


def _segments(core: Path) -> list[Segment]:
    with core.open("rb") as file:
        loaded: Iterable[Any] = ELFFile(file).iter_segments("PT_LOAD")  # type: ignore[no-untyped-call]
        return [(each["p_vaddr"], each["p_offset"], each["p_filesz"]) for each in loaded if each["p_filesz"]]


def _offset(segments: Iterable[Segment], address: int) -> int:
    """Where in the file the memory at ``address`` is."""
    return next(offset + address - begin for begin, offset, size in segments if begin <= address < begin + size)


def _addresses(segments: Sequence[Segment], chance: random.Random, count: int) -> Iterator[int]:
    """Somewhere in the core, each byte as likely as any other."""
    for begin, _, size in chance.choices(segments, [size for *_, size in segments], k=count):
        yield begin + chance.randrange(max(1, size - SIZE))


def test_damaged_blocks_are_errors_and_told_and_all_others_are_right(
    fresh_lab: Lab, dense: Path, tmp_path: Path
) -> None:
    """Read through the mount; memory stays bounded."""
    good = dict(enumerate(_read_blocks(dense, tmp_path / "good")))
    damaged = tmp_path / "damaged.corebox"
    bad = damage(dense, damaged, random.Random(5), 12)
    found = dict(enumerate(_read_blocks(damaged, tmp_path / "bad")))
    assert {index for index, block in found.items() if block is None} == bad
    assert all(found[index] == good[index] for index in good if index not in bad)
    dump = ("-ex", "dump binary memory /dev/null words words+count", "-ex", "print 6 * 7")
    done = fresh_lab.corebox("shell", damaged, "--engine", "bubblewrap", "--", "-batch", *dump)
    assert "= 42" in done.output
    assert "cannot be read: its bytes do not match their digest in core.digests" in done.errors


def _read_blocks(bundle: Path, folder: Path) -> list[bytes | None]:
    """Each block through the mount; None where that is an error."""
    (folder / "served").mkdir(parents=True)
    with AroundReader(bundle) as reader:
        around = reader.around()
    (folder / "core.digests").write_bytes(around.digests)
    request = Request(folder / "served", around.place, folder / "core.digests", bundle)
    with served(request) as serving, serving.path().open("rb", buffering=0) as core:
        assert os.fstat(core.fileno()).st_size == around.place.size
        blocks = [_block(core.fileno(), offset) for offset in range(0, around.place.size, MiB)]
        status = Path(f"/proc/{serving.process_id}/status").read_text()
    assert int(status.partition("VmHWM:")[2].split()[0]) < 150_000
    return blocks


def _block(descriptor: int, offset: int) -> bytes | None:
    try:
        return os.pread(descriptor, MiB, offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return None
