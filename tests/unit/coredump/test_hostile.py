"""Any bytes give facts or a CoreboxError, in bounded time and memory."""

import contextlib
import os
import random
import struct
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.coredump.elffile import is_elf, read_elf
from corebox.coredump.linkmap import MAX_NAMES
from corebox.errors import CoreboxError, InputError
from corebox.reduce.compact import plan_compaction
from corebox.reduce.redact import plan_redaction
from corebox.reduce.slim import plan_slim
from tests.support.elfwriter import (
    ET_CORE,
    ET_DYN,
    NT_AUXV,
    NT_FILE,
    PN_XNUM,
    PT_DYNAMIC,
    PT_PHDR,
    CoreWriter,
    Format,
)
from tests.unit.conftest import RealCore


def ask_everything(path: Path) -> None:
    """Ask a core all it can be asked."""
    with open_core(str(path)) as core:
        assert core.size == path.stat().st_size
        assert (core.process, core.modules, core.other_files, core.truncation, core.stored_size) is not None
        plan_compaction(core)
        plan_slim(core)
        plan_redaction(core, environment=True, patterns=[b"secret"])


@pytest.mark.parametrize("name", ["dynamic", "i386", "gcore"])
@pytest.mark.parametrize("seed", range(15))
def test_damaged_cores_give_facts_or_an_error(real_core: RealCore, tmp_path: Path, name: str, seed: int) -> None:
    data = bytearray(real_core(name).read_bytes())
    chance = random.Random(seed)
    limit = chance.choice([64, 4096, len(data)])
    for _ in range(chance.choice([1, 8, 64])):
        data[chance.randrange(limit)] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    path = tmp_path / "core"
    path.write_bytes(data)
    with contextlib.suppress(CoreboxError):
        ask_everything(path)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_elf_files_give_facts_or_an_error(real_core: RealCore, tmp_path: Path, seed: int) -> None:
    data = bytearray(Path("/bin/true").read_bytes())
    chance = random.Random(seed)
    limit = chance.choice([64, 1024, len(data)])
    from_end = chance.random() < 0.4
    for _ in range(chance.choice([1, 8, 64])):
        at = chance.randrange(limit)
        data[-1 - at if from_end else at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    path = tmp_path / "file"
    path.write_bytes(data)
    with contextlib.suppress(CoreboxError):
        read_elf(str(path))


def test_a_file_of_endless_section_names_is_refused_in_time(tmp_path: Path) -> None:
    form = Format()
    size = 1 << 22
    data = bytearray(size)
    data[:64] = form.header(ET_DYN, 0, sections=64)
    data[60:64] = (0xFEFF).to_bytes(2, "little") + (1).to_bytes(2, "little")
    data[64 + 0xFEFF * 64 :] = b"x" * (size - 64 - 0xFEFF * 64) if size > 64 + 0xFEFF * 64 else b""
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_elf(str(path))
    assert caught.value.code == "not-elf"


def test_four_thousand_million_segments_are_refused(tmp_path: Path) -> None:
    form = Format()
    section = bytearray(64)
    section[44:48] = b"\xff\xff\xff\xff"
    path = tmp_path / "core"
    path.write_bytes(form.header(ET_CORE, PN_XNUM, sections=64) + section)
    with pytest.raises(InputError) as caught:
        open_core(str(path))
    assert caught.value.code == "not-a-core"


def test_a_list_of_files_that_lies_about_its_length_is_empty(tmp_path: Path) -> None:
    form = Format()
    writer = CoreWriter(form)
    writer.note(NT_FILE, form.words(1 << 60, 1) + b"/lib/a.so\0")
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        assert core.mappings == ()


@pytest.mark.parametrize(
    ("start", "kind", "hint"),
    [
        (b"", "empty", "ulimit -c unlimited"),
        (b"\x28\xb5\x2f\xfd....", "compressed with zstd", "zstd -d"),
        (b"\x1f\x8b......", "compressed with gzip", "gzip -d"),
        (b"\x04\x22\x4d\x18....", "compressed with lz4", "lz4 -d"),
        (b"\xfd7zXZ\x00..", "compressed with xz", "xz -d"),
        (b"#!/bin/sh\n", "not an ELF file", "coredumpctl"),
        (b"MDMP\x93\xa7\0\0", "a minidump (Windows, Breakpad, Crashpad)", "minidump-stackwalk"),
        (b"ProblemType: Crash\nArchitecture: amd64\n", "a report of apport (.crash)", "corebox import"),
        (b"KDUMP   \x06\0\0\0", "a memory dump of the Linux kernel (makedumpfile)", "crash(8)"),
        (
            struct.pack("<6I", 24, 0x0003, 5, 0x154, 0, 0),
            "an ESP-IDF core dump, the memory of a microcontroller",
            "esp-coredump info_corefile",
        ),
        (Format().header(ET_DYN, 0), "an executable or shared library", "not the program"),
    ],
)
def test_says_what_a_file_is_that_is_no_core(tmp_path: Path, start: bytes, kind: str, hint: str) -> None:
    path = tmp_path / "thing"
    path.write_bytes(start)
    with pytest.raises(InputError) as caught:
        open_core(str(path))
    assert (caught.value.code, caught.value.context["kind"]) == ("not-a-core", kind)
    assert hint in caught.value.hint


def test_missing_files_directories_and_pipes_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, code in [("absent", "no-such-file"), (".", "not-a-file"), ("pipe", "not-a-file")]:
        with pytest.raises(CoreboxError) as caught:
            open_core(str(tmp_path / path))
        assert caught.value.code == code
        with pytest.raises(CoreboxError):
            is_elf(str(tmp_path / path))


def test_a_name_that_leads_in_a_circle_is_an_error_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError) as caught:
        open_core(str(tmp_path / "loop"))
    assert caught.value.code == "cannot-read"


@pytest.mark.parametrize("length", [5, 300, 4000, 9000])
def test_as_many_names_as_a_list_can_have_take_bounded_memory(tmp_path: Path, length: int) -> None:
    form, table, heap, count = Format(), 0x40000 + 64, 0x900000, 65536
    headers = form.entry(PT_PHDR, 4, 0, 64, 0, 0) + form.entry(PT_DYNAMIC, 6, 0, 2048, 64, 64)
    page = bytes(64) + headers.ljust(2048 - 64, b"\0") + form.words(21, heap, 0, 0)
    names = heap + 16 + 40 * count
    places = [heap + 16 + 40 * number for number in range(count)] + [0]
    chain = [form.words(0, names + number % length, 0x40000 + 2048, places[number + 1], 0) for number in range(count)]
    writer = CoreWriter(form)
    writer.note(NT_AUXV, form.words(3, table, 5, 2, 0, 0))
    writer.memory(0x40000, page.ljust(4096, b"\0"))
    writer.memory(heap, form.words(1, heap + 16) + b"".join(chain) + b"x" * length + b"\0")
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        assert len(core.link_map) == count
        assert sum(map(len, {entry.name for entry in core.link_map})) <= MAX_NAMES + 4096


def test_a_list_of_files_longer_than_any_kernel_writes_is_cut(tmp_path: Path) -> None:
    form, count = Format(), 3000
    writer = CoreWriter(form)
    rows = [(number << 13, (number << 13) + 4096, 0, b"/data/%d-" % number + b"y" * 12000) for number in range(count)]
    writer.note(NT_FILE, form.mappings(rows))
    writer.memory(0x40000, b"memory")
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        assert 1000 < len(core.mappings) < count
        assert core.memory.read(0x40000, 6) == b"memory"
