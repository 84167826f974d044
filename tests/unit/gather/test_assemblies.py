"""Which files are assemblies of .NET."""

import struct

import pytest

from corebox.gather.assemblies import is_assembly

_MAGIC = {32: (0x10B, 96), 64: (0x20B, 112)}


def pe(bits: int, at: int = 128, cli: tuple[int, int] = (0x2008, 72)) -> bytes:
    """The beginning of a PE file, with the place and size of the header that only assemblies have."""
    magic, directories = _MAGIC[bits]
    begin = bytearray(at + 24 + directories + 16 * 8)
    begin[:2] = b"MZ"
    struct.pack_into("<I", begin, 60, at)
    struct.pack_into("<4s20xH", begin, at, b"PE\0\0", magic)
    struct.pack_into("<II", begin, at + 24 + directories + 14 * 8, *cli)
    return bytes(begin)


@pytest.mark.parametrize("bits", [32, 64])
def test_an_assembly_has_the_header_of_the_common_language_infrastructure(bits: int) -> None:
    assert is_assembly(pe(bits))
    assert not is_assembly(pe(bits, cli=(0, 0))), "a program of Windows"


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"MZ",
        b"\x7fELF" + bytes(4092),
        b"MZ" + bytes(4094),
        b"MZ" + b"\xff" * 4094,
        pe(64)[:-17],
        pe(64).replace(b"PE\0\0", b"NE\0\0"),
        pe(64).replace(b"\x0b\x02", b"\x07\x01"),
    ],
)
def test_what_is_cut_or_something_else_is_none(begin: bytes) -> None:
    assert not is_assembly(begin)
