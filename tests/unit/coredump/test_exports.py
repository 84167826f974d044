"""Symbols that a file exports, against what the dynamic linker of this very process says."""

import ctypes
import os
import tracemalloc
from pathlib import Path

import pytest

from corebox.coredump.elffile import elf_of
from corebox.coredump.exports import exported
from corebox.files.openfile import OpenFile

NAMES = ("PyCode_Type", "PyTuple_Type", "Py_Version", "there is none")


def opened(path: Path) -> OpenFile:
    return OpenFile(str(path), os.open(path, os.O_RDONLY))


def mapped(address: int) -> tuple[Path, int]:
    """The file that is mapped at the address, and where the lowest page of it is."""
    spans = [line.split(None, 5) for line in Path("/proc/self/maps").read_text().splitlines()]
    (path,) = [
        words[5] for words in spans if len(words) == 6 and _start(words[0]) <= address < int(words[0].split("-")[1], 16)
    ]
    return Path(path), min(_start(words[0]) for words in spans if words[-1] == path)


def _start(span: str) -> int:
    return int(span.split("-", maxsplit=1)[0], 16)


def test_addresses_and_values_are_those_of_the_dynamic_linker() -> None:
    version = ctypes.c_uint32.in_dll(ctypes.pythonapi, "Py_Version")
    path, base = mapped(ctypes.addressof(version))
    file = opened(path)
    found = exported(file, NAMES)
    assert set(found) == set(NAMES[:3])
    assert found["Py_Version"].value == version.value
    elf = elf_of(file)
    assert elf
    for name in NAMES[:3]:
        address = ctypes.addressof(ctypes.c_int.in_dll(ctypes.pythonapi, name))
        assert base - elf.lowest_page + found[name].address == address
    file.close()


def test_a_file_that_claims_gigabytes_costs_none_of_them(tmp_path: Path) -> None:
    """Numbers of program headers and sizes of sections may say anything."""
    version = ctypes.c_uint32.in_dll(ctypes.pythonapi, "Py_Version")
    path = mapped(ctypes.addressof(version))[0]
    data = bytearray(path.read_bytes())
    data[54:58] = b"\xff" * 4  # e_phentsize, e_phnum
    (tmp_path / "file").write_bytes(data)
    file = opened(tmp_path / "file")
    tracemalloc.start()
    exported(file, NAMES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    file.close()
    assert peak < 128 << 20


@pytest.mark.parametrize("damage", [b"", b"\x7fELF", b"\xff" * 4096])
def test_what_makes_no_sense_exports_nothing(tmp_path: Path, damage: bytes) -> None:
    version = ctypes.c_uint32.in_dll(ctypes.pythonapi, "Py_Version")
    whole = mapped(ctypes.addressof(version))[0].read_bytes()
    for data in (damage, damage.ljust(64, b"\0") + whole[len(damage) : 4096], whole[:40] + b"\xff" * 24 + whole[64:]):
        (tmp_path / "file").write_bytes(data)
        file = opened(tmp_path / "file")
        assert exported(file, NAMES) == {}
        file.close()
