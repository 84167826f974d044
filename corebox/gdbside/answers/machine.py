"""The registers and instructions of the innermost frame."""

import re

import gdb

from corebox.gdbside.bounded import hexadecimal, text

BEFORE_FAULT, AFTER_FAULT, MAX_FUNCTION_LENGTH = 8, 6, 1 << 16
MAX_INSTRUCTION_LENGTH = 256
_OFFSET = re.compile(r"<.*\+(\d+)>", re.DOTALL)


def registers() -> list[dict[str, str]]:
    """The general registers of the innermost frame, as numbers of the machine's word size."""
    frame = gdb.newest_frame()
    found = []
    for register in frame.architecture().registers("general"):
        try:
            value = int(frame.read_register(register.name))
        except (gdb.error, ValueError, TypeError):
            continue
        found.append({"name": register.name, "value": hexadecimal(value)})
    if not found:
        raise RuntimeError("gdb cannot read any register of this core")
    return found


def disassembly() -> list[dict[str, str]]:
    """The instructions around the fault. Where a function begins tells where instructions before the fault begin."""
    frame = gdb.newest_frame()
    counter = frame.pc()
    start = beginning(frame, counter)
    found = []
    if start < counter:
        found = frame.architecture().disassemble(start, counter - 1)[-BEFORE_FAULT:]
    # An instruction at the end of what the core has: its neighbours cannot be read, and it can.
    for count in (AFTER_FAULT, 1):
        try:
            found += frame.architecture().disassemble(counter, count=count)
            break
        except gdb.MemoryError:
            if count == 1 and not found:
                raise
    return [{"address": hexadecimal(each["addr"]), "text": text(each["asm"], MAX_INSTRUCTION_LENGTH)} for each in found]


def beginning(frame: gdb.Frame, counter: int) -> int:
    """Where the function begins that ``counter`` is in: by debug information, else by symbol; else ``counter``."""
    try:
        block = gdb.block_for_pc(counter) if frame.function() else None
        while block is not None and block.function is None:
            block = block.superblock
        start = block.start if block else by_symbol(counter)
    except (gdb.error, RuntimeError):
        start = counter
    return start if 0 <= counter - start <= MAX_FUNCTION_LENGTH else counter


def by_symbol(counter: int) -> int:
    """The nearest symbol at or before ``counter``; gdb's Python API has it in words only (gdb.format_address)."""
    found = _OFFSET.search(gdb.format_address(counter))
    return counter - int(found[1]) if found else counter
