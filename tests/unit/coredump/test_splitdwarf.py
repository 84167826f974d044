"""Whose split debug information a file has, and which a program names; of what makes no sense, none."""

import itertools
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from corebox.coredump.splitdwarf import Skeleton, skeletons, split_ids
from corebox.locate.stubs import empty_unit

ID = 0xA5CB38A763A2963D
Value = TypeVar("Value")


def ask(read: Callable[[int], Value], path: Path, data: bytes) -> Value:
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read(descriptor)
    finally:
        os.close(descriptor)


def program(sections: dict[str, bytes]) -> bytes:
    """A 64-bit ELF file with these sections."""
    names, content, rows = b"\0", b"", bytes(64)
    for name, data in {**sections, ".shstrtab": b"\0".join(map(str.encode, ["", *sections, ".shstrtab", ""]))}.items():
        rows += struct.pack("<IIQQQQIIQQ", len(names), 1, 0, 0, 64 + len(content), len(data), 0, 0, 1, 0)
        names, content = names + name.encode() + b"\0", content + data
    count = len(sections) + 2
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + len(content), 0, 64, 56, 0, 64, count, count - 1)
    return head + content + rows


# DW_TAG_skeleton_unit with DW_AT_dwo_name and DW_AT_comp_dir as DW_FORM_strp, DW_AT_low_pc as DW_FORM_addr.
ABBREVIATIONS = bytes([1, 0x4A, 0, 0x76, 0x0E, 0x1B, 0x0E, 0x11, 0x01, 0, 0, 0])
UNIT = struct.pack("<HBBIQ", 5, 4, 8, 0, ID) + bytes([1]) + struct.pack("<IIQ", 0, 7, 0x1149)
PROGRAM = program(
    {
        ".debug_info": struct.pack("<I", len(UNIT)) + UNIT,
        ".debug_abbrev": ABBREVIATIONS,
        ".debug_str": b"../a.o\0/build/x\0",
        ".debug_addr": bytes(8),
    }
)


@pytest.mark.parametrize(("version", "bits", "order"), list(itertools.product((4, 5), (32, 64), "<>")))
def test_an_empty_unit_has_the_identity_that_it_was_given(version: int, bits: int, order: str, tmp_path: Path) -> None:
    assert ask(split_ids, tmp_path / "a.dwo", empty_unit(ID, version, bits, order, 62)) == {ID}


def test_a_program_names_its_file(tmp_path: Path) -> None:
    (found,) = ask(skeletons, tmp_path / "program", PROGRAM)
    assert found == Skeleton("../a.o", "/build/x", ID, 5)
    assert found.path == "/build/a.o"


def test_a_package_has_the_units_of_its_index(tmp_path: Path) -> None:
    index = struct.pack("<HHIII4Q", 5, 0, 3, 2, 4, 0, ID, 0, 7)
    assert ask(split_ids, tmp_path / "x.dwp", program({".debug_cu_index": index})) == {ID, 7}


@pytest.mark.parametrize("read", [skeletons, split_ids])
def test_of_what_is_cut_or_damaged_there_is_none(read: Callable[[int], object], tmp_path: Path) -> None:
    for data in (PROGRAM, empty_unit(ID, 4, 64, "<", 62), empty_unit(ID, 5, 64, "<", 62)):
        for at in range(0, len(data), 3):
            ask(read, tmp_path / "cut", data[:at])
            ask(read, tmp_path / "damaged", data[:at] + b"\xff" + data[at + 1 :])
    assert not ask(read, tmp_path / "text", b"not an ELF file")


def units(*abbreviations: int) -> bytes:
    """Skeleton units, each with its abbreviations at another offset."""
    each = [struct.pack("<HBBIQ", 5, 4, 8, at, ID) + bytes([1]) + struct.pack("<IIQ", 0, 7, 0) for at in abbreviations]
    return b"".join(struct.pack("<I", len(unit)) + unit for unit in each)


def test_tables_that_overlap_are_not_looked_through_for_each_unit(tmp_path: Path) -> None:
    """Each unit finds its abbreviation behind thousands of others."""
    others = bytes([2, 0x11, 0, 0, 0]) * 4000
    sections = {
        ".debug_info": units(*range(0, 20000, 5)),
        ".debug_abbrev": others + ABBREVIATIONS,
        ".debug_str": b"../a.o\0/build/x\0",
        ".debug_addr": bytes(8),
    }
    found = ask(skeletons, tmp_path / "program", program(sections))
    assert 0 < len(found) < 100
    many = {**sections, ".debug_info": units(*[0] * 500), ".debug_abbrev": ABBREVIATIONS}
    assert len(ask(skeletons, tmp_path / "program", program(many))) == 500


def test_names_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corebox.coredump.splitdwarf._MAX_NAMES_LENGTH", 4096)
    sections = {
        ".debug_info": units(*[0] * 500),
        ".debug_abbrev": ABBREVIATIONS,
        ".debug_str": b"../a.o\0" + b"x" * 1017 + b"\0",
        ".debug_addr": bytes(8),
    }
    assert len(ask(skeletons, tmp_path / "program", program(sections))) == 4


def test_sections_that_are_compressed_are_inflated_when_needed_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def packed(data: bytes) -> bytes:
        return struct.pack("<IIQQ", 1, 0, len(data), 1) + zlib.compress(data)

    sections = {
        ".debug_info": packed(units(0)),
        ".debug_abbrev": packed(ABBREVIATIONS),
        ".debug_str": packed(b"../a.o\0/build/x\0"),
        ".debug_addr": bytes(8),
        ".debug_line": packed(bytes(50 << 20)),
    }
    tracemalloc.start()
    (found,) = ask(skeletons, tmp_path / "program", program(sections))
    assert (found.path, found.dwo_id) == ("/build/a.o", ID)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    monkeypatch.setattr("corebox.coredump.splitdwarf._MAX_INFLATED_SIZE", len(units(0)) + 8)
    assert ask(skeletons, tmp_path / "program", program(sections)) == []
