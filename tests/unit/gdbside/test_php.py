"""Frames of PHP, made here as Zend/zend_compile.h lays them out in 8.2."""

import struct

import pytest

from corebox.gdbside.runtimes import php

MAIN, PAY, PUT = 0x1000, 0x2000, 0x3000  # frames
CODE = {MAIN: 0x10000, PAY: 0x11000, PUT: 0x12000}
OWNER, LINES = 0x20000, 0x30000


class Memory:
    """Runs of bytes by address."""

    def __init__(self) -> None:
        self.runs: dict[int, bytes] = {}
        self._strings = 0x40000

    def put(self, address: int, data: bytes) -> None:
        self.runs[address] = data

    def string(self, text: bytes, kind: int = 6) -> int:
        self._strings += 0x1000
        self.put(self._strings, struct.pack("<IIQQ", 1, kind | 0x40, 7, len(text)) + text + bytes(8))
        return self._strings

    def read(self, address: int, size: int) -> bytes:
        for start, data in self.runs.items():
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        raise LookupError(hex(address))

    def frame(self, at: int, caller: int, name: bytes | None, line: int, *, owner: int = 0, kind: int = 2) -> None:
        """A frame of a function of lines 3 to 9 that is at ``line``."""
        opline = LINES + at
        self.put(at, struct.pack("<10Q", opline, 0, 0, CODE[at], 0, 0, caller, 0, 0, 0))
        self.put(opline, struct.pack("<24xII", line, 0))
        fields = struct.pack("<B7xQQ", kind, self.string(name) if name else 0, owner).ljust(144, b"\0")
        fields += struct.pack("<QII", self.string(b"/srv/shop.php"), 3, 9)
        self.put(CODE[at], fields.ljust(256, b"\0"))


@pytest.fixture
def memory() -> Memory:
    """The file calls Shop::pay, which calls a function of an extension."""
    made = Memory()
    made.put(OWNER, struct.pack("<QQ", 2, made.string(b"Acme\\Shop")))
    made.frame(MAIN, 0, None, 4)
    made.frame(PAY, MAIN, b"pay", 7, owner=OWNER)
    made.frame(PUT, PAY, b"posix_kill", 0, kind=1)
    return made


def test_functions_are_named_with_class_file_and_line_and_native_ones_are_left_to_their_own_frames(
    memory: Memory,
) -> None:
    assert list(php.chain(PUT, 0, memory.read)) == [
        ("Acme\\Shop::pay", "/srv/shop.php", 7),
        ("{main}", "/srv/shop.php", 4),
    ]
    assert list(php.chain(PUT, MAIN, memory.read)) == [("Acme\\Shop::pay", "/srv/shop.php", 7)]


def test_a_file_that_was_included_is_told_from_the_first_one(memory: Memory) -> None:
    memory.frame(PAY, MAIN, None, 7)
    assert [name for name, _, _ in php.chain(PAY, 0, memory.read)] == ["include", "{main}"]


def test_a_line_that_the_function_does_not_have_is_not_shown(memory: Memory) -> None:
    memory.frame(PAY, 0, b"pay", 12)
    assert list(php.chain(PAY, 0, memory.read)) == [("pay", None, None)]


def test_chains_that_do_not_lead_to_the_next_call_are_none(memory: Memory) -> None:
    for first, end in ((PUT, 0x9999), (0x5000, 0)):
        with pytest.raises(LookupError):
            list(php.chain(first, end, memory.read))
    memory.frame(MAIN, PUT, None, 4)
    with pytest.raises(LookupError, match="not linked"):
        list(php.chain(PUT, 0, memory.read))


def test_what_is_no_function_or_no_string_is_none(memory: Memory) -> None:
    memory.frame(PAY, 0, b"pay", 7, kind=3)
    with pytest.raises(LookupError, match="no function"):
        list(php.chain(PAY, 0, memory.read))
    memory.frame(PAY, 0, b"x" * 1001, 7)
    with pytest.raises(LookupError, match="no string"):
        list(php.chain(PAY, 0, memory.read))
