"""Call frame information is anybody's: what it says is bounded, and nothing of it takes memory without end."""

import struct

import pytest

from corebox.gdbside.frames import cfi, cfimodule, cfisections

FORM = ("<", 8)
# Version, augmentation, code and data alignment, return column, and nothing to begin with.
COMMON = b"\x01\0\x01\x78\x10"


def section(*programs: bytes) -> bytes:
    """An .eh_frame with an entry for 16 bytes of code for each program, at 0x1000, 0x1010 and so on."""
    data = struct.pack("<II", 4 + len(COMMON), 0) + COMMON
    for index, program in enumerate(programs):
        data += struct.pack("<IIQQ", 20 + len(program), len(data) + 4, 0x1000 + 16 * index, 16) + program
    return data + bytes(4)


def entries(data: bytes) -> list[cfi.Entry]:
    """What is read of it."""
    return [entry for entry, _ in cfisections.entries(cfi.Bytes(data, 0, FORM), True, FORM)]


def test_an_entry_says_where_registers_are() -> None:
    # DW_CFA_def_cfa rsp+8; rip at cfa-8; advance 4; cfa rsp+16, rbp at cfa-16.
    first, second = entries(section(b"\x0c\x07\x08\x90\x01\x44\x0e\x10\x86\x02", b""))
    assert (first.start, first.end, second.start) == (0x1000, 0x1010, 0x1010)
    assert first.rules(0x1000) == ((7, 8), {16: -8})
    assert first.rules(0x1008) == ((7, 16), {16: -8, 6: -16})


def test_rows_that_are_remembered_without_end_are_damage() -> None:
    registers = b"".join(b"\x05" + bytes([0x80 | each & 0x7F, each >> 7]) + b"\x01" for each in range(900))
    (entry,) = entries(section(registers + b"\x0a" * 60_000))
    with pytest.raises(cfi.DamagedError):
        entry.rules(0x1008)


def test_entries_of_a_file_are_found_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    module = cfimodule.Module(None, 0, lambda *_: b"", FORM, [], (OSError,))
    data = section(*[b"\x0c\x07\x08"] * 1000)
    monkeypatch.setattr(module, "_frame_data", lambda: [(cfi.Bytes(data, 0, FORM), True)])
    found = module.entry(0x1000 + 16 * 777 + 3)
    assert found is not None
    assert found.start == 0x1000 + 16 * 777
    assert module.entry(0x1000 + 16 * 1000) is None
    assert module.entry(0xFFF) is None
