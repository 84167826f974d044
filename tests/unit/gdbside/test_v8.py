"""V8's heap: names and lines where it makes sense, nothing where it does not, whatever it says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebox.coredump.v8names import NAMES, RESOURCE
from corebox.gdbside.runtimes import v8

#: As a V8 with 64-bit words has them: offsets of fields, types and tags.
CONSTANTS = {"TaggedSize": 8} | {names[0]: 8 * (1 + index % 7) for index, names in enumerate(NAMES.values())}
CONSTANTS |= {"off_fp_function": -16, "off_fp_context_or_frame_type": -8, "FirstNonstringType": 0x80}
CONSTANTS |= {"type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE": 0xD0, "type_Script__SCRIPT_TYPE": 0xD1}
CONSTANTS |= {"type_ScopeInfo__SCOPE_INFO_TYPE": 0xD2, "class_HeapObject__map__Map": 0}
CONSTANTS |= {
    "StringRepresentationMask": 7,
    "SeqStringTag": 0,
    "ConsStringTag": 1,
    "SlicedStringTag": 3,
    "ThinStringTag": 5,
}
CONSTANTS |= {"ExternalStringTag": 2, RESOURCE: 16}
CONSTANTS |= {"StringEncodingMask": 8, "OneByteStringTag": 8, "class_String__length__int32_t": 12}
CONSTANTS |= {"class_SeqOneByteString__chars__char": 16, "class_Map__instance_type__uint16_t": 12}


class Memory:
    """Words at addresses."""

    def __init__(self) -> None:
        self.data = bytearray(1 << 14)
        self.end = 64

    def read(self, address: int, size: int) -> bytes:
        if not 0 <= address <= len(self.data) - size:
            raise LookupError(hex(address))
        return bytes(self.data[address : address + size])

    def word(self, address: int, value: int) -> None:
        self.data[address : address + 8] = (value & (1 << 64) - 1).to_bytes(8, "little")

    def make(self, kind: int, **fields: int) -> int:
        """An object of a type; fields by the names of the constants' table."""
        map_ = self._space()
        self.data[map_ + 12 : map_ + 14] = kind.to_bytes(2, "little")
        at = self._space()
        self.word(at, map_ + 1)
        for name, value in fields.items():
            self.word(at + CONSTANTS[NAMES[name][0]], value)
        return at + 1

    def string(self, text: str) -> int:
        made = self.make(0x08)
        self.data[made - 1 + 12 : made - 1 + 16] = len(text).to_bytes(4, "little")
        self.data[made - 1 + 16 : made - 1 + 16 + len(text)] = text.encode("latin-1")
        return made

    def _space(self) -> int:
        self.end += 256
        return self.end


def heap(memory: Memory) -> v8.Heap:
    return v8.Heap(memory.read, CONSTANTS.get)


def frame_of(memory: Memory, function: int, context: int) -> int:
    at = memory.end = memory.end + 256
    memory.word(at - 16, function)
    memory.word(at - 8, context)
    return at


def function_named(memory: Memory, name: int) -> int:
    script = memory.make(0xD1, script_name=memory.string("/srv/shop.js"))
    return memory.make(0xE0, shared=memory.make(0xD0, name=name, script=script))


def test_a_function_has_its_name_and_its_script() -> None:
    memory = Memory()
    frame = frame_of(memory, function_named(memory, memory.string("weigh")), memory.make(0xE1))
    assert heap(memory).function(frame) == v8.Function("weigh", "/srv/shop.js", None)


def test_a_frame_of_v8_itself_is_no_functions() -> None:
    memory = Memory()
    frame = frame_of(memory, function_named(memory, memory.string("weigh")), 2 << 32)
    assert heap(memory).function(frame) is None


@pytest.mark.parametrize(("names", "own"), [(0, ["audit"]), (2, ["audit"]), (1, ["", 0, "audit"])])
def test_a_name_stands_behind_those_of_the_locals(names: int, own: list[str | int]) -> None:
    memory = Memory()
    scope = memory.make(0xD2)
    words = [0, 0, names << 32, 5 << 32, 9 << 32]
    words += [memory.string(f"local{index}") for index in range(names)] + [0] * names
    words += [memory.string(each) if isinstance(each, str) else each for each in own]
    for index, word in enumerate(words):
        memory.word(scope - 1 + 8 * (index + 1), word)
    frame = frame_of(memory, function_named(memory, scope), memory.make(0xE1))
    found = heap(memory).function(frame)
    assert found
    assert found.name == "audit"


@pytest.mark.parametrize(("text", "found"), [("weigh", "weigh"), ("we\0gh", v8.ANONYMOUS)])
def test_a_name_may_be_outside_the_heap(text: str, found: str) -> None:
    memory = Memory()
    name = memory.make(0x0A)
    memory.data[name - 1 + 12 : name - 1 + 16] = len(text).to_bytes(4, "little")
    memory.word(name - 1 + CONSTANTS[RESOURCE] + 8, memory.string(text) - 1 + 16)
    frame = frame_of(memory, function_named(memory, name), memory.make(0xE1))
    assert heap(memory).function(frame) == v8.Function(found, "/srv/shop.js", None)


def test_a_string_of_itself_ends() -> None:
    memory = Memory()
    endless = memory.make(0x09)
    memory.data[endless - 1 + 12 : endless - 1 + 16] = (7).to_bytes(4, "little")
    for name in ("first", "second"):
        memory.word(endless - 1 + CONSTANTS[NAMES[name][0]], endless)
    frame = frame_of(memory, function_named(memory, endless), memory.make(0xE1))
    assert heap(memory).function(frame) in (None, v8.Function(v8.ANONYMOUS, "/srv/shop.js", None))


@given(st.binary(min_size=256, max_size=4096), st.integers(0, 4096))
def test_no_memory_leads_the_reader_astray(data: bytes, frame: int) -> None:
    memory = Memory()
    memory.data[: len(data)] = data
    heap(memory).function(frame)


@pytest.mark.parametrize("lacking", ["TaggedSize", "class_JSFunction__shared__SharedFunctionInfo"])
def test_a_v8_that_does_not_tell_enough_is_not_read(lacking: str) -> None:
    constants = {name: value for name, value in CONSTANTS.items() if name != lacking}
    with pytest.raises(LookupError, match=re.compile("not supported|does not tell")):
        v8.Heap(Memory().read, constants.get)


def number(value: int) -> bytes:
    """As V8 writes it."""
    bits, data = (value << 1) ^ (value >> 63), bytearray()
    while True:
        data.append((bits & 0x7F) | (0x80 if bits > 0x7F else 0))
        bits >>= 7
        if not bits:
            return bytes(data)


def table(entries: list[tuple[int, int]]) -> bytes:
    code, place, data = -1, 0, b""  # V8's kFunctionEntryBytecodeOffset
    for offset, position in entries:
        data += number(offset - code) + number(((position + 1) << 1) - place)
        code, place = offset, (position + 1) << 1
    return data


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 100_000)), min_size=1, max_size=30), st.integers(0, 5000)
)
def test_the_place_is_the_one_of_the_last_instruction_before(entries: list[tuple[int, int]], offset: int) -> None:
    ordered = sorted(entries, key=lambda each: each[0])
    before = [position for code, position in ordered if code <= offset]
    assert v8.position_at(table(ordered), offset) == (before[-1] if before else None)


@given(st.binary(max_size=200), st.integers(0, 1000))
def test_a_table_may_be_anything(data: bytes, offset: int) -> None:
    found = v8.position_at(data, offset)
    assert found is None or 0 <= found < 1 << 30
