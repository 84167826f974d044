"""Tables of lines, as compilers of CPython made them, and what their interpreters said of each instruction."""

import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corebox.gdbside.runtimes.cpythonlines import line_310, line_since_311, line_until_39

#: Of a function with ``except E as e`` in a loop, and 300 empty lines: the table of 3.8.18, and dis.findlinestarts().
OLD = bytes.fromhex("0001080102010c011001040102ff187f007f0030027f000e048000f3")
OLD_STARTS = [(0, 2), (8, 3), (10, 4), (22, 5), (38, 6), (42, 7), (44, 6), (68, 308), (70, 449), (74, 308)]
#: Of the same the table of 3.10.13, and co_lines().
NEW = bytes.fromhex("080102010c010e010401020110ff088002ff007f007f0231007f040e008104f2")
NEW_LINES = [
    (0, 8, 2),
    (8, 10, 3),
    (10, 22, 4),
    (22, 36, 5),
    (36, 40, 6),
    (40, 42, 7),
    (42, 58, 6),
    (58, 66, None),
    (66, 68, 5),
    (68, 70, 308),
    (70, 74, 449),
    (74, 78, 308),
]


def test_up_to_39_lines_are_those_of_the_interpreter() -> None:
    ends = [start for start, _ in OLD_STARTS[1:]]
    for (start, line), end in zip(OLD_STARTS, [*ends, 78], strict=True):
        assert {line_until_39(1, OLD, at) for at in range(start, end)} == {line}
    assert line_until_39(1, OLD, -1) == 1


def test_those_of_310_too_where_an_instruction_may_have_none() -> None:
    for start, end, line in NEW_LINES:
        assert {line_310(1, NEW, at) for at in range(start, end)} == {line}
    assert None in [line for _, _, line in NEW_LINES]
    assert line_310(1, NEW, -2) == 1
    assert line_310(1, NEW, NEW_LINES[-1][1]) is None


def bodies(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from bodies(each)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="another table")
@pytest.mark.parametrize("module", [subprocess, pytest, types])
def test_since_311_lines_are_those_of_the_interpreter(module: types.ModuleType) -> None:
    assert module.__file__
    whole = compile(Path(module.__file__).read_text("utf-8"), "x.py", "exec")
    for code in bodies(whole):
        for start, end, line in code.co_lines():
            for at in range(start, end, 2):
                assert line_since_311(code.co_firstlineno, code.co_linetable, at) == line, (code, at)
        assert line_since_311(code.co_firstlineno, code.co_linetable, -2) == code.co_firstlineno


@pytest.mark.parametrize("decode", [line_until_39, line_310, line_since_311])
@pytest.mark.parametrize("table", [b"", b"\xff", b"\xf8" + b"\x7f" * 40, bytes(range(256))])
def test_damaged_tables_end(decode: Callable[[int, bytes, int], int | None], table: bytes) -> None:
    for at in (-1, 0, 2, 1 << 26):
        found = decode(1, table, at)
        assert found is None or abs(found) < 1 << 40
