"""HotSpot's tables of itself, made here as share/runtime/vmStructs.cpp lays them out."""

import struct
from typing import Literal

import pytest

from corebox.gdbside.frames.hotspot import Blob, CodeCache

ENTRIES = ("TypeName", "FieldName", "TypeString", "IsStatic", "Offset", "Address")
HEAP, LOW, SEGMENTS, BLOB = 0x50000, 0x100000, 0x60000, 0x100000 + 2 * 128 + 16
FIELDS = [
    ("CodeCache", "_heaps", "GrowableArray<CodeHeap*>*", 0, 0x40000),
    ("GrowableArrayBase", "_len", "int", 0, None),
    ("GrowableArray<int>", "_data", "int*", 8, None),
    ("CodeHeap", "_memory", "VirtualSpace", 0, None),
    ("CodeHeap", "_segmap", "VirtualSpace", 64, None),
    ("CodeHeap", "_log2_segment_size", "int", 128, None),
    ("VirtualSpace", "_low", "char*", 0, None),
    ("VirtualSpace", "_high", "char*", 8, None),
    ("HeapBlock::Header", "_used", "bool", 8, None),
    ("CodeBlob", "_frame_size", "int", 0, None),
    ("CodeBlob", "_code_begin", "address", 8, None),
    ("CodeBlob", "_name", "const char*", 16, None),
    ("CodeBlob", "_frame_complete_offset", "int", 24, None),
]


class Machine:
    """The memory of a process with a HotSpot in it."""

    order: Literal["little"] = "little"

    def __init__(
        self,
        name: str = "sum",
        fields: list[tuple[str, str, str, int, int | None]] = FIELDS,
        sizes: dict[str, int] = {},  # noqa: B006 - nobody changes it
    ) -> None:
        self.runs: dict[int, bytearray] = {}
        self.symbols: dict[str, int] = {}
        self.texts, self.next = 0x10000, 0x20000
        rows = b""
        for owner, field, kind, at, address in fields:
            static = address is not None
            rows += struct.pack("<6Q", self.text(owner), self.text(field), self.text(kind), static, at, address or 0)
        self.variable("gHotSpotVMStructs", self.put(0x30000, rows + bytes(48)))
        types = [struct.pack("<2Q", self.text(owner), size) for owner, size in {"HeapBlock": 16, **sizes}.items()]
        self.variable("gHotSpotVMTypes", self.put(0x38000, b"".join(types) + bytes(16)))
        for index, each in enumerate(ENTRIES):
            self.variable(f"gHotSpotVMStructEntry{each}Offset", 8 * index)
        self.variable("gHotSpotVMStructEntryArrayStride", 48)
        self.variable("gHotSpotVMTypeEntryTypeNameOffset", 0)
        self.variable("gHotSpotVMTypeEntrySizeOffset", 8)
        self.variable("gHotSpotVMTypeEntryArrayStride", 16)
        self.put(0x40000, struct.pack("<Q", 0x41000))
        self.put(0x41000, struct.pack("<2Q", 1, 0x42000))
        self.put(0x42000, struct.pack("<Q", HEAP))
        space = struct.pack("<2Q48x", LOW, LOW + 0x1000) + struct.pack("<2Q48x", SEGMENTS, SEGMENTS + 32)
        self.put(HEAP, space + struct.pack("<I", 7))
        # Free, free, then a block of three segments, of which each tells how far back it began.
        self.put(SEGMENTS, b"\xff\xff\x00\x01\x02" + b"\xff" * 27)
        self.put(LOW + 2 * 128, struct.pack("<QQ", 3, 1))
        self.put(BLOB, struct.pack("<QQQI", 6, BLOB + 64, self.text(name), 12))

    def put(self, address: int, data: bytes) -> int:
        """Put bytes at an address, which is returned."""
        self.runs[address] = bytearray(data)
        return address

    def text(self, value: str) -> int:
        """Where a text is."""
        self.texts += 0x100
        return self.put(self.texts, value.encode().ljust(0x100, b"\0"))

    def variable(self, name: str, value: int) -> None:
        """A variable of the program."""
        self.next += 8
        self.symbols[name] = self.put(self.next, struct.pack("<Q", value))

    def read(self, address: int, size: int) -> bytes:
        """Memory, or a LookupError."""
        for start, data in self.runs.items():
            if start <= address and address + size <= start + len(data):
                return bytes(data[address - start :][:size])
        raise LookupError(address)

    def code(self) -> CodeCache:
        """What is read of it."""
        return CodeCache(self.read, self.symbols.__getitem__, self.order)


def test_the_frames_of_a_piece_of_code_have_one_size() -> None:
    cache = Machine().code()
    for pc in (BLOB + 64, LOW + 4 * 128 + 127):  # in the first and in the last of its segments
        assert cache.blob(pc) == Blob(48, BLOB + 64 + 12, False, BLOB, BLOB + 64)


def test_the_interpreter_makes_its_frames_as_it_likes() -> None:
    found = Machine("Interpreter").code().blob(BLOB + 64)
    assert found is not None
    assert found.interpreter


@pytest.mark.parametrize("pc", [LOW, LOW + 5 * 128, LOW - 1, LOW + 0x1000])
def test_where_no_code_is_there_is_no_blob(pc: int) -> None:
    assert Machine().code().blob(pc) is None


def test_a_block_that_was_freed_has_none() -> None:
    machine = Machine()
    machine.put(LOW + 2 * 128, struct.pack("<QQ", 3, 0))
    assert machine.code().blob(BLOB + 64) is None


def test_a_frame_without_bounds_is_not_believed() -> None:
    machine = Machine()
    machine.put(BLOB, struct.pack("<QQQI", 1 << 30, BLOB + 64, machine.text("x"), 12))
    found = machine.code().blob(BLOB + 64)
    assert found is not None
    assert found.frame == 0


def test_segments_that_lead_nowhere_end() -> None:
    machine = Machine()
    machine.put(SEGMENTS, b"\x05" * 32)
    assert machine.code().blob(LOW + 2 * 128) is None


def test_another_program_has_no_such_code() -> None:
    machine = Machine()
    machine.symbols.clear()
    assert machine.code().blob(BLOB + 64) is None
