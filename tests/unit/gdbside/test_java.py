"""Methods in HotSpot's structures, made here as share/oops and share/code lay them out before release 23."""

import struct
from collections.abc import Iterator

import pytest

from corebox.gdbside.frames.hotspot import Blob
from corebox.gdbside.runtimes.java import Method, Methods, line_table, number_at
from tests.unit.gdbside.test_hotspot import BLOB, FIELDS, Machine

METHOD, CONST, POOL, OWNER, METHODS = 0x70000, 0x71000, 0x72000, 0x73000, 0x74000
OUTER, OUTER_CONST = 0x75000, 0x76000
FRAME, CODE = 0x80000, BLOB + 64
PCS, SCOPES, METADATA = 0x190000, 0x191000, 0x192000
JAVA: list[tuple[str, str, str, int, int | None]] = [
    ("Abstract_VM_Version", "_vm_major_version", "int", 0, 0x95000),
    ("Method", "_constMethod", "ConstMethod*", 8, None),
    ("ConstMethod", "_constants", "ConstantPool*", 8, None),
    ("ConstMethod", "_constMethod_size", "int", 24, None),
    ("ConstMethod", "_flags", "u2", 28, None),
    ("ConstMethod", "_code_size", "u2", 32, None),
    ("ConstMethod", "_name_index", "u2", 34, None),
    ("ConstantPool", "_pool_holder", "InstanceKlass*", 24, None),
    ("ConstantPool", "_source_file_name_index", "u2", 54, None),
    ("ConstantPool", "_length", "int", 60, None),
    ("Klass", "_name", "Symbol*", 24, None),
    ("InstanceKlass", "_methods", "Array<Method*>*", 32, None),
    ("Array<Method*>", "_data", "", 8, None),
    ("Symbol", "_length", "u2", 4, None),
    ("Symbol", "_body", "", 6, None),
    ("CompiledMethod", "_method", "Method*", 112, None),
    ("CompiledMethod", "_scopes_data_begin", "address", 120, None),
    ("nmethod", "_scopes_pcs_offset", "int", 128, None),
    ("nmethod", "_dependencies_offset", "int", 132, None),
    ("nmethod", "_metadata_offset", "int", 136, None),
]
SIZES = {"ConstantPool": 64, "ConstMethod": 56}
#: Line 7 from 0 on, 9 from 4 on, 300 from 6 on: one byte, one byte, and two numbers with signs.
LINES = bytes([0 << 3 | 7, 4 << 3 | 2, 0xFF, 2 << 1]) + b"\xc6\x06" + b"\0"


class Java(Machine):
    """A class com.acme.Orders with the methods sum and total, which is compiled into BLOB together with sum."""

    def __init__(self, name: str = "nmethod") -> None:
        super().__init__(name, FIELDS + JAVA, SIZES)
        self.put(0x95000, struct.pack("<I", 17))
        symbols = [self.symbol(each) for each in (b"sum", b"total", b"Orders.java", b"com/acme/Orders")]
        pool = bytearray(64) + struct.pack("<5Q", 0, *symbols)
        struct.pack_into("<Q", pool, 24, OWNER)
        struct.pack_into("<HxxxxI", pool, 54, 3, 5)
        self.put(POOL, bytes(pool))
        self.put(OWNER, bytes(24) + struct.pack("<2Q", symbols[3], METHODS))
        self.put(METHODS, struct.pack("<2Q", 2, OUTER) + struct.pack("<Q", METHOD))
        for at, const, index in ((METHOD, CONST, 1), (OUTER, OUTER_CONST, 2)):
            self.put(at, struct.pack("<2Q", 0, const))
            head = struct.pack("<QQQIHHHH", 0, POOL, 0, 10, 1, 0, 8, index)
            self.put(const, head.ljust(56, b"\0") + bytes(8) + LINES.ljust(16, b"\0"))
        blob = self.runs[BLOB] + bytes(200)
        struct.pack_into("<QQ", blob, 112, OUTER, SCOPES)
        struct.pack_into("<3i", blob, 128, PCS - BLOB, PCS - BLOB + 32, METADATA - BLOB)
        self.put(BLOB, bytes(blob))
        self.put(PCS, struct.pack("<8i", -1, 0, 0, 0, 20, 3, 0, 0))
        # sum at bytecode 6, sent by the scope at 8, which is total at bytecode 1.
        self.put(SCOPES, bytes(3) + bytes([8, 2, 7]) + bytes(2) + bytes([0, 1, 2]) + bytes(40))
        self.put(METADATA, struct.pack("<2Q", OUTER, METHOD))
        self.put(FRAME - 64, struct.pack("<8Q", CONST + 56 + 5, 0, 0, 0, 0, METHOD, 0, 0))

    def symbol(self, text: bytes) -> int:
        """A Symbol with this text."""
        self.next += 0x100
        return self.put(self.next + 0x40000, struct.pack("<IH", 0, len(text)) + text)

    def blob(self) -> Blob:
        """The piece of code."""
        found = self.code().blob(CODE)
        assert found
        return found

    def methods(self) -> Methods:
        """What is read of it."""
        vm = self.code().structures
        assert vm
        return Methods(vm)


def test_the_interpreter_keeps_its_method_and_its_place() -> None:
    java = Java("Interpreter")
    found = java.methods().of_frame(java.blob(), CODE, FRAME)
    assert found == (Method("com.acme.Orders.sum", "Orders.java", 9),)


def test_compiled_code_tells_what_was_inlined_at_the_end_of_a_call() -> None:
    java = Java()
    methods = java.methods()
    inner, outer = methods.of_frame(java.blob(), CODE + 20, 0)
    assert inner == Method("com.acme.Orders.sum", "Orders.java", 300)
    assert outer == Method("com.acme.Orders.total", "Orders.java", 7)
    assert methods.of_frame(java.blob(), CODE + 21, 0) == (Method("com.acme.Orders.total", "Orders.java", None),)


def test_code_that_calls_a_native_function_has_a_method_and_no_line() -> None:
    java = Java("native nmethod")
    struct.pack_into("<i", java.runs[BLOB], 132, PCS - BLOB)
    assert java.methods().of_frame(java.blob(), CODE + 20, 0) == (Method("com.acme.Orders.total", "Orders.java", None),)


def test_code_of_no_method_has_none() -> None:
    java = Java("StubRoutines")
    assert java.methods().of_frame(java.blob(), CODE, FRAME) == ()


def damages() -> Iterator[tuple[str, int, int, bytes]]:
    """Where what is damaged."""
    yield "a method of no class", METHODS, 16, struct.pack("<Q", 1)
    yield "a class with too many methods", METHODS, 0, struct.pack("<I", 1 << 20)
    yield "a class without methods", METHODS, 0, struct.pack("<I", 0)
    yield "a name outside the constants", CONST, 34, struct.pack("<H", 5)
    yield "constants elsewhere", CONST, 8, struct.pack("<Q", 1)
    yield "a method elsewhere", FRAME - 64, 40, struct.pack("<Q", 3)


@pytest.mark.parametrize(("address", "offset", "data"), [pytest.param(*each[1:], id=each[0]) for each in damages()])
def test_what_makes_no_sense_is_not_shown(address: int, offset: int, data: bytes) -> None:
    java = Java("Interpreter")
    java.runs[address][offset : offset + len(data)] = data
    assert java.methods().of_frame(java.blob(), CODE, FRAME) == ()


def test_places_of_compiled_code_are_bounded() -> None:
    java = Java()
    struct.pack_into("<i", java.runs[BLOB], 132, 1 << 30)
    assert java.methods().of_frame(java.blob(), CODE + 20, 0) == ()


def test_scopes_that_send_each_other_end() -> None:
    java = Java()
    java.runs[SCOPES][8] = 3
    assert len(java.methods().of_frame(java.blob(), CODE + 20, 0)) == 64


def test_a_place_beyond_the_bytecode_or_before_all_lines_has_no_line() -> None:
    java = Java("Interpreter")
    java.put(FRAME - 64, struct.pack("<8Q", CONST + 56 + 8, 0, 0, 0, 0, METHOD, 0, 0))
    assert java.methods().of_frame(java.blob(), CODE, FRAME)[0].line is None
    java.runs[CONST][28] = 0  # without a table
    java.put(FRAME - 64, struct.pack("<8Q", CONST + 56 + 5, 0, 0, 0, 0, METHOD, 0, 0))
    assert java.methods().of_frame(java.blob(), CODE, FRAME)[0].line is None


@pytest.mark.parametrize(
    ("data", "excluded", "number"),
    [(b"\x05", 0, 5), (b"\x05", 1, 4), (b"\xc6\x06", 0, 198 + (6 << 6)), (b"\xc1\x02", 1, 192 + (1 << 6)),
     (b"\xff" * 5, 0, 255 * (1 + 64 + 4096 + (1 << 18) + (1 << 24)))],
)  # fmt: skip
def test_a_number_has_at_most_five_bytes(data: bytes, excluded: int, number: int) -> None:
    assert number_at(data + b"\x01", 0, excluded) == (number, len(data))


def test_a_table_of_lines_that_does_not_end_is_refused() -> None:
    with pytest.raises(LookupError):
        list(line_table(b"\x09" * 8, 0))
