"""The core's layer is a tar for every engine, and a core for every debugger, whatever core is in it."""

import hashlib
import io
import os
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebox.bundle.corecontent import CompactCore
from corebox.bundle.corelayer import CORE_OFFSET, layer_head
from corebox.coredump.core import CoreFile, open_core
from corebox.coredump.header import parse_header
from corebox.coredump.table import section_zero
from corebox.errors import InputError
from tests.support.compactcores import content_of
from tests.support.elfwriter import CoreWriter
from tests.support.realcores import unpack_core
from tests.unit.bundle.samples import MTIME, layer_of

SHAPES = ["dynamic", "static", "gcore", "i386", "aarch64", "segments", "filter23"]


def compact_of(path: Path) -> bytes:
    with open_core(str(path)) as core:
        return content_of(CompactCore(core))


def layer_file(core: bytes, folder: Path) -> Path:
    path = folder / "layer"
    path.write_bytes(layer_of(core))
    return path


def memory_of(core: CoreFile) -> list[tuple[int, int, int, str]]:
    """Where the memory is that the core has, and the digest of its bytes."""
    found = []
    for segment in core.segments:
        data = core.read_available(segment.address, segment.file_size)
        found.append((segment.address, segment.memory_size, len(data), hashlib.sha256(data).hexdigest()))
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_a_layer_has_the_facts_and_the_memory_of_its_core(tmp_path: Path, name: str) -> None:
    (tmp_path / "core").write_bytes(compact_of(unpack_core(name, tmp_path)))
    layer = layer_file((tmp_path / "core").read_bytes(), tmp_path)
    with open_core(str(tmp_path / "core")) as core, open_core(str(layer)) as within:
        assert (within.process, within.modules, within.auxv) == (core.process, core.modules, core.auxv)
        assert memory_of(within) == memory_of(core)
        assert within.truncation is None
        moved = [s._replace(offset=s.offset + CORE_OFFSET) for s in core.table.headers]
        assert list(within.table.headers) == moved


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_what_was_cut_is_no_memory(tmp_path: Path, part: float) -> None:
    path = unpack_core("dynamic", tmp_path)
    os.truncate(path, int(path.stat().st_size * part))
    (tmp_path / "compact").write_bytes(compact_of(path))
    layer = layer_file((tmp_path / "compact").read_bytes(), tmp_path)
    with open_core(str(tmp_path / "compact")) as core, open_core(str(layer)) as within:
        assert core.truncation is not None
        there = [entry[2:] for entry in memory_of(core)]
        assert [entry[2:] for entry in memory_of(within)] == there
        lost = next(s for s in core.segments if s.offset + s.file_size > core.size)
        with pytest.raises(InputError):
            within.read(lost.address + lost.file_size - 1, 1)


def test_other_tars_read_it(tmp_path: Path) -> None:
    core = compact_of(unpack_core("dynamic", tmp_path))
    layer = layer_file(core, tmp_path)
    listed = subprocess.run(["tar", "-tvf", layer], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split()[-1] for line in listed] == [".corebox/", ".corebox/core", ".corebox/core.segments"]
    assert listed[1].split()[:3] == ["-rw-r--r--", "0/0", str(len(core))]


def test_a_core_of_8_gib_still_begins_at_a_page() -> None:
    assert len(layer_head(bytes(64), 9 << 30, MTIME)) == CORE_OFFSET


@given(st.binary(max_size=64), st.binary(max_size=3000))
def test_any_bytes_make_a_tar_with_nothing_but_them(begin: bytes, rest: bytes) -> None:
    core = b"\x7fELF" + begin + rest
    data = layer_of(core)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == [".corebox", ".corebox/core", ".corebox/core.segments"]
        content = archive.extractfile(".corebox/core")
        assert content is not None
        assert content.read() == core
    name = data[:100].split(b"\0", 1)[0]
    assert name in {b"", *(b"\x7fELF" + bytes([bits, order, 1]) for bits in (1, 2) for order in (1, 2))}


def test_a_small_core_that_claims_millions_of_segments_makes_no_large_layer() -> None:
    header = CoreWriter().to_bytes()[:64]
    parsed = parse_header(header)
    assert parsed is not None
    section = section_zero(parsed, 4_000_000)
    claims = bytearray(header + section)
    struct.pack_into("<Q", claims, 40, 64)  # e_shoff
    struct.pack_into("<H", claims, 56, 0xFFFF)  # e_phnum
    assert len(layer_of(bytes(claims))) < 16 << 10
