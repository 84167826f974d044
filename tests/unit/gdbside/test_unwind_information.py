"""Call frame information of a library that this Python runs on, as pyelftools reads it, and of small ones made here."""

import ctypes
import functools
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile

from corebox.gdbside.frames import cfi
from corebox.gdbside.frames.cfimodule import Module

FORM = "<", 8
MAX_COUNT = 100
_elf: Any = ELFFile


def mapped_library() -> tuple[str, int]:
    """The C library of this process: its path, and where its header is in memory."""
    ctypes.CDLL(None)
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    names = "libc.", "libc-"
    found = [line for line in lines if Path(line[-1]).name.startswith(names) and int(line[2], 16) == 0]
    return found[0][-1], int(found[0][0].partition("-")[0], 16)


def read(address: int, size: int) -> bytes:
    """Memory of this process."""
    with Path("/proc/self/mem").open("rb", buffering=0) as file:
        return os.pread(file.fileno(), size, address)


@functools.lru_cache
def described(path: str) -> tuple[Any, ...]:
    """Some of the entries of a file, from all over it."""
    with Path(path).open("rb") as file:
        entries: list[Any] = [each for each in _elf(file).get_dwarf_info().EH_CFI_entries() if isinstance(each, FDE)]
        return tuple((each, each.get_decoded().table) for each in entries[:: max(1, len(entries) // MAX_COUNT)])


def wanted(row: dict[Any, Any]) -> tuple[tuple[int, int], dict[int, int]] | None:
    """A row of pyelftools: the CFA and where registers are saved; None if it needs an expression."""
    rules = {key: rule for key, rule in row.items() if isinstance(key, int)}
    if row["cfa"].expr is not None or any("EXPRESSION" in rule.type for rule in rules.values()):
        return None
    return (row["cfa"].reg, row["cfa"].offset), {key: each.arg for key, each in rules.items() if each.type == "OFFSET"}


@pytest.mark.parametrize("in_memory", [True, False], ids=["by the linker's table", "by the file's sections"])
def test_it_says_what_another_reader_says(in_memory: bool) -> None:
    path, base = mapped_library()
    with Path(path).open("rb") as file:
        text = _elf(file).get_section_by_name(".text")["sh_addr"]
    module = Module(base if in_memory else None, base + text, read, FORM, [] if in_memory else [path], (OSError,))
    assert module.bias == base
    seen = 0
    for each, rows in described(path):
        if None in map(wanted, rows):
            continue
        for row in rows:
            pc = base + row["pc"]
            found, rules = module.entry(pc), wanted(row)
            assert found is not None
            assert (found.start, found.end) == (
                base + each["initial_location"],
                base + each["initial_location"] + each["address_range"],
            )
            assert found.rules(pc) == rules
            seen += 1
    assert seen > MAX_COUNT


def test_where_no_code_is_nothing_is_said() -> None:
    path, base = mapped_library()
    module = Module(base, 0, read, FORM, [path], (OSError,))
    assert module.entry(base - 1) is None
    assert module.entry(base + (1 << 30)) is None


# Made here.

CODE = 0x1000
START = (
    b"\x0c\x07\x08"  # def_cfa r7 + 8
    b"\x90\x01"  # r16 at cfa - 8
)


def common(augmentation: bytes = b"zR", data: bytes = b"\x1b", program: bytes = START, version: int = 1) -> bytes:
    """A CIE with code factor 1, data factor -8 and return register 16."""
    sizes = b"\x08\x00" if version >= 4 else b""
    body = bytes([version]) + augmentation + b"\0" + sizes + b"\x01\x78\x10"
    if augmentation.startswith(b"z"):
        body += bytes([len(data)]) + data
    return body + program


def section(program: bytes, cie: bytes | None = None, size: int = 0x100, address: int = 0x2000) -> bytes:
    """A .eh_frame of one CIE and one FDE, for code at ``CODE``."""
    first = struct.pack("<I", 0) + (common() if cie is None else cie)
    first = struct.pack("<I", len(first)) + first
    at = address + len(first) + 8
    second = struct.pack("<Iii", len(first) + 4, CODE - at, size) + b"\0" + program
    return first + struct.pack("<I", len(second)) + second + struct.pack("<I", 0)


def elf(tmp_path: Path, name: str, data: bytes, flags: int = 0, address: int = 0x2000) -> str:
    """A file with one section of this name, and .text at ``CODE``."""
    names = b"\0.text\0.shstrtab\0" + name.encode() + b"\0"
    row = "<IIQQQQIIQQ"
    at = 64 + 4 * 64
    rows = [
        struct.pack(row, *[0] * 10),
        struct.pack(row, 1, 8, 6, CODE, at, 0x100, 0, 0, 1, 0),
        struct.pack(row, 7, 3, 0, 0, at, len(names), 0, 0, 1, 0),
        struct.pack(row, 17, 1, flags, address, at + len(names), len(data), 0, 0, 1, 0),
    ]
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, 4, 2)
    path = tmp_path / "image"
    path.write_bytes(header + b"".join(rows) + names + data)
    return str(path)


def entry(path: str, pc: int = CODE + 8) -> cfi.Entry | None:
    module = Module(None, CODE, lambda *_: b"", FORM, [path], (OSError,))
    found: cfi.Entry | None = module.entry(pc)
    return found


@pytest.mark.parametrize(
    ("program", "rules"),
    [
        (b"", ((7, 8), {16: -8})),
        (b"\x41\x0e\x10\x86\x02", ((7, 16), {16: -8, 6: -16})),
        (b"\x02\x01\x0e\x10", ((7, 16), {16: -8})),
        (b"\x03\x01\x00\x0d\x06", ((6, 8), {16: -8})),
        (b"\x04\x01\x00\x00\x00\x0d\x06", ((6, 8), {16: -8})),
        (b"\x48\x0e\x20\x41\x0e\x10", ((7, 32), {16: -8})),
        (b"\x0a\x0e\x20\x86\x02\x0b", ((7, 8), {16: -8})),
        (b"\x86\x02\xc6", ((7, 8), {16: -8})),
        (b"\x90\x03\xd0", ((7, 8), {16: -8})),
        (b"\x05\x06\x02\x06\x06", ((7, 8), {16: -8})),
        (b"\x05\x06\x02", ((7, 8), {16: -8, 6: -16})),
        (b"\x11\x06\x7e", ((7, 8), {16: -8, 6: 16})),
        (b"\x07\x10", ((7, 8), {})),
        (b"\x08\x10", ((7, 8), {})),
        (b"\x09\x10\x03", ((7, 8), {})),
        (b"\x12\x06\x7e", ((6, 16), {16: -8})),
        (b"\x13\x7d", ((7, 24), {16: -8})),
        (b"\x2e\x10\x00\x2d", ((7, 8), {16: -8})),
        (b"\x0f\x02\x77\x08", None),
        (b"\x16\x06\x01\x30", None),
    ],
)
def test_each_instruction(tmp_path: Path, program: bytes, rules: object) -> None:
    found = entry(elf(tmp_path, ".eh_frame", section(program)))
    assert found is not None
    assert found.return_register == 16
    assert found.rules(CODE + 8) == rules


def test_a_common_part_that_needs_an_expression(tmp_path: Path) -> None:
    found = entry(elf(tmp_path, ".eh_frame", section(b"", common(program=b"\x0f\x02\x77\x08"))))
    assert found is not None
    assert found.rules(CODE) is None


def test_personality_and_language_data_are_passed_over(tmp_path: Path) -> None:
    cie = common(b"zPLR", b"\x00" + bytes(8) + b"\x1b\x1b")
    found = entry(elf(tmp_path, ".eh_frame", section(b"", cie)))
    assert found is not None
    assert found.rules(CODE) == ((7, 8), {16: -8})


def test_debug_frame(tmp_path: Path) -> None:
    first = struct.pack("<I", 0xFFFFFFFF) + common(b"", version=4)
    first = struct.pack("<I", len(first)) + first
    second = struct.pack("<IQQ", 0, CODE, 0x100)
    data = first + struct.pack("<I", len(second)) + second
    for flags, content in ((0, data), (0x800, struct.pack("<IIQQ", 1, 0, len(data), 1) + zlib.compress(data))):
        found = entry(elf(tmp_path, ".debug_frame", content + bytes(4), flags, 0))
        assert found is not None
        assert (found.start, found.end) == (CODE, CODE + 0x100)
        assert found.rules(CODE) == ((7, 8), {16: -8})
    unknown = struct.pack("<IIQQ", 9, 0, len(data), 1) + data
    assert entry(elf(tmp_path, ".debug_frame", unknown, 0x800, 0)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff\xff\x7f" + bytes(8),
        section(b"")[:20],
        section(b"", common(b"eh")),
        section(b"", b"\x01zR"),
        struct.pack("<IIii", 12, 99, 0, 8),
    ],
)
def test_what_is_damaged_ends_it(tmp_path: Path, data: bytes) -> None:
    assert entry(elf(tmp_path, ".eh_frame", data)) is None


def test_numbers_without_an_end(tmp_path: Path) -> None:
    found = entry(elf(tmp_path, ".eh_frame", section(b"\x0e" + b"\x80" * 12)))
    assert found is not None
    with pytest.raises(cfi.DamagedError):
        found.rules(CODE)


@pytest.mark.parametrize("content", [b"", b"no ELF file".ljust(100), b"\x7fELF\x02\x01".ljust(64, b"\0")])
def test_a_file_that_has_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    assert entry(str(path)) is None
    assert entry(str(tmp_path / "none")) is None


def test_headers_in_memory_that_are_none(tmp_path: Path) -> None:
    path = elf(tmp_path, ".eh_frame", section(b""))
    for header in (bytes(64), b"\x7fELF".ljust(56, b"\0") + b"\xff\xff" + bytes(6)):
        module = Module(0x400000, CODE, lambda *_, data=header: data, FORM, [path], (OSError,))
        assert module.entry(0x10) is None
