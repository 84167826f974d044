"""Go's tables of functions and its goroutines: read where they make sense, within bounds whatever they say."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebox.gdbside.runtimes.goroutines import UNREADABLE, Goroutines, Layout, Module, Routine, module
from corebox.gdbside.runtimes.gotables import Place, Tables, version

TEXT, HEADER, GOFUNC, MODULE, DATA, BSS, STACK, HEAP = (each << 16 for each in range(4, 12))


class Memory:
    """Runs of bytes by address."""

    def __init__(self, runs: dict[int, bytes]) -> None:
        self.runs = runs

    def read(self, address: int, size: int) -> bytes:
        for start, data in self.runs.items():
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        raise LookupError(hex(address))


def values(*pairs: tuple[int, int]) -> bytes:
    """A table: each value with how many bytes of code it is for."""
    found, last = b"", -1
    for value, length in pairs:
        difference = value - last
        found += bytes([(-difference * 2 - 1) if difference < 0 else difference * 2, length])
        last = value
    return found + b"\0"


def tables() -> bytes:
    """main.run (0x40 bytes), which has main.add inlined at 0x10 to 0x20, and runtime.goexit."""
    names = b"\0main.run\0main.add\0runtime.goexit\0"
    units = struct.pack("<2I", 0, 9)
    files = b"/main.go\0/add.go\0"
    kept, places = bytearray(b"\0"), {}
    for name, table in {
        "size": values((8, 0x40)), "none": values((0, 0x40)), "lines": values((20, 0x10), (3, 0x10), (21, 0x20)),
        "files": values((0, 0x10), (1, 0x10), (0, 0x20)), "inlined": values((-1, 0x10), (0, 0x10), (-1, 0x20)),
    }.items():  # fmt: skip
        places[name] = len(kept)
        kept += table
    offsets = (places[each] for each in ("size", "files", "lines"))
    run = struct.pack("<IiiI5IiBBBB", 0, 1, 0, 0, *offsets, 3, 0, 18, 0, 0, 0, 4)
    run += struct.pack("<7I", 0, 0, places["inlined"], *(3 * (0xFFFFFFFF,)), 0)
    end = struct.pack("<IiiI5IiBBBB", 0x40, 19, 0, 0, places["none"], 0, 0, 0, 0, 0, 0, 1, 0, 0)
    functions = struct.pack("<5I", 0, 20, 0x40, 20 + len(run), 0x80) + run + end
    head, at = b"", 72
    for part in (names, units, files, bytes(kept), functions):
        head += struct.pack("<Q", at)
        at += len(part)
    start = struct.pack("<IHBBQQQ", 0xFFFFFFF1, 0, 1, 8, 2, 2, 0)
    return start + head + names + units + files + bytes(kept) + functions


INLINED = struct.pack("<Iiii", 0, 10, 0x0F, 2)  # main.add, called at 0x0f


def program() -> dict[int, bytes]:
    """A program with one goroutine, which waits for a channel and was called by nobody but the runtime."""
    words = [0] * 44
    words[0], words[1] = HEADER, HEADER + int.from_bytes(tables()[32:40], "little")
    words[22], words[26:30], words[40] = TEXT, [DATA, DATA + 64, BSS, BSS + 64], GOFUNC
    reason = b"GC assist marking"
    data = struct.pack("<6Q", 0, 0, DATA + 64, len(reason), DATA + 96, 4) + b"\0" * 16
    routine = bytearray(512)
    struct.pack_into("<2Q", routine, 0, STACK, STACK + 0x100)
    struct.pack_into("<3Q", routine, 56, STACK + 0x40, TEXT + 0x19, HEAP)
    struct.pack_into("<IIQ", routine, 144, 4, 0, 1)
    routine[176] = 2
    return {
        HEADER: tables() + bytes(1024),
        GOFUNC: INLINED,
        MODULE: struct.pack("<44Q", *words),
        DATA: data + reason.ljust(32, b"\0") + b"post",
        BSS: struct.pack("<8Q", 0, 0, HEAP + 512, 1, 4, 0, 0, 0),
        STACK: bytes(0x48) + struct.pack("<Q", TEXT + 0x41) + bytes(0xB0),
        HEAP: bytes(routine) + struct.pack("<Q", HEAP),
    }


def everything(memory: Memory) -> list[Routine]:
    layout = Layout.of(22)
    found: Module = module(MODULE, HEADER, memory.read, layout)
    return Goroutines(found, layout, memory.read, {}, None).all()


def test_the_functions_at_an_address() -> None:
    memory = Memory(program())
    found = Tables(HEADER, memory.read, TEXT, GOFUNC)
    assert list(found.places(TEXT + 0x18)) == [Place("main.add", "/add.go", 3), Place("main.run", "/main.go", 20)]
    assert list(found.places(TEXT + 0x28)) == [Place("main.run", "/main.go", 21)]
    assert list(found.places(TEXT + 0x80)) == []
    assert list(found.places(TEXT - 1)) == []


def test_a_goroutine_is_found_by_its_shape_and_unwound_by_sizes_of_frames() -> None:
    (found,) = everything(Memory(program()))
    assert (found.number, found.state, found.reason, found.whole) == (1, "waiting", "post", True)
    assert [each.function for each in found.frames] == ["main.add", "main.run", "runtime.goexit"]


def test_a_goroutine_that_did_not_run_yet_is_in_its_own_function() -> None:
    runs = program()
    runs[HEAP] = runs[HEAP][:64] + struct.pack("<Q", TEXT + 0x40) + runs[HEAP][72:]
    (found,) = everything(Memory(runs))
    assert [each.function for each in found.frames] == ["runtime.goexit"]


def test_the_version_that_built_the_program() -> None:
    mark, memory = b"..\xff Go buildinf:\x08", Memory({HEAP: struct.pack("<2Q", TEXT, 8), TEXT: b"go1.16.9 "})
    in_place = mark + b"\x02" + bytes(16) + b"\x08go1.22.1\x30path"
    assert version(in_place, memory.read) == "go1.22.1"
    assert version(mark + b"\0" + struct.pack("<3Q", HEAP, 0, 0), memory.read) == "go1.16.9"
    assert version(mark + b"\0" + struct.pack("<3Q", 1, 0, 0), memory.read) is None
    assert version(mark, memory.read) is version(b"", memory.read) is None


@pytest.mark.parametrize("minor", [18, 28])
def test_other_versions_are_named(minor: int) -> None:
    with pytest.raises(LookupError, match=rf"Go 1\.{minor} are not supported"):
        Layout.of(minor)


@given(st.data())
def test_damage_is_an_error_or_nothing(data: st.DataObject) -> None:
    runs = program()
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.sampled_from(sorted(runs)))
        at = data.draw(st.integers(0, len(runs[start]) - 8))
        word = data.draw(st.sampled_from([0, 1, 255, 1 << 31, (1 << 64) - 1, HEAP, STACK, HEADER, TEXT + 0x19]))
        runs[start] = runs[start][:at] + word.to_bytes(8, "little") + runs[start][at + 8 :]
    with contextlib.suppress(UNREADABLE):
        everything(Memory(runs))
