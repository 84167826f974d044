"""Runs inside gdb: the arguments, local variables and source lines of a frame.

Printers of the customer's run here, and gdb's own readers of other languages: each may raise anything, crash gdb or
never come back. That is why nothing else depends on them, and the caller asks for one frame at a time.
"""

import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

import gdb

from corebox.gdbside.bounded import one_line, text

MAX_VALUES, MAX_VALUE_LENGTH, MAX_NAME_LENGTH = 24, 240, 128
LINES_AROUND, MAX_LINE_LENGTH, MAX_SOURCE_SIZE = 3, 240, 8 << 20
OPTIMIZED_OUT = "<optimized out>"


def read(frame: gdb.Frame, managed: bool = False) -> dict[str, Any]:
    """Arguments, locals and source lines of a frame; ``missing`` says why there are no values, None if there are.

    Of a frame that runs a ``managed`` function there are none: those of the native code are not that function's.
    """
    facts: dict[str, Any] = {"arguments": [], "locals": [], "omitted": 0, "missing": None, "source": []}
    if managed:
        facts["missing"] = "no values of managed functions"
        return facts
    facts["source"] = source(frame.find_sal())
    try:
        block = frame.block()
    except RuntimeError:
        facts["missing"] = "no debug information"
        return facts
    symbols = list(symbols_of(block))
    for kind, symbol in symbols[:MAX_VALUES]:
        facts[kind].append({"name": text(symbol.name, MAX_NAME_LENGTH), "value": value_of(frame, symbol)})
    facts["omitted"] = max(0, len(symbols) - MAX_VALUES)
    return facts


def symbols_of(found: gdb.Block) -> Iterator[tuple[str, gdb.Symbol]]:
    """Kind and symbol of each variable of a function, the innermost block first: of several of a name, that one."""
    seen: set[str] = set()
    block: gdb.Block | None = found
    while block is not None and not block.is_static and not block.is_global:
        for symbol in block:
            kind = "arguments" if symbol.is_argument else "locals" if symbol.is_variable else None
            if kind and symbol.name not in seen:
                seen.add(symbol.name)
                yield kind, symbol
        if block.function is not None:
            return
        block = block.superblock


def value_of(frame: gdb.Frame, symbol: gdb.Symbol) -> str:
    """A variable as gdb prints it on one line, or what kept gdb from it."""
    try:
        value = symbol.value(frame)
        if value.is_optimized_out:
            return OPTIMIZED_OUT
        return text(shown(value), MAX_VALUE_LENGTH)
    except Exception as error:  # noqa: BLE001 - printers of the customer's run here; they may raise anything
        return text(f"<{one_line(error)}>", MAX_VALUE_LENGTH)


def shown(value: gdb.Value) -> str:
    """The value by its pretty-printer; where that failed, gdb returns nothing and prints the error."""
    printed = value.format_string(max_elements=16, max_depth=3, styling=False)
    if printed.strip():
        return printed
    raw = value.format_string(max_elements=16, max_depth=3, styling=False, raw=True)
    return OPTIMIZED_OUT if OPTIMIZED_OUT in raw else raw


def source(place: gdb.Symtab_and_line) -> list[dict[str, Any]]:
    """The lines around ``place`` if its file is at hand, under gdb's substitute-path too."""
    if not place.symtab or not place.line:
        return []
    path = pathlib.Path(place.symtab.fullname())
    first = max(place.line - LINES_AROUND, 1)
    try:
        if not path.is_file() or path.stat().st_size > MAX_SOURCE_SIZE:
            return []
        with path.open(errors="replace") as file:
            lines = list(itertools.islice(file, first - 1, place.line + LINES_AROUND))
    except (OSError, ValueError):  # ValueError: a path with a NUL, a line number beyond all bounds
        return []
    numbered = enumerate(lines, first)
    return [{"line": number, "text": text(line.rstrip().expandtabs(), MAX_LINE_LENGTH)} for number, line in numbered]
