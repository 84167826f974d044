"""Runs inside gdb: which functions that are inlined into one have an array on the stack, which may overflow.

A stack protector checks a frame when its function returns, outside all that was inlined into it, so that the frame's
own name says nothing of where the overflow was. The debug information says where the arrays are.
"""

from collections.abc import Iterator

import gdb

_MAX_LENGTH = 1 << 14  # bytes of code


def owners(frame: gdb.Frame) -> list[str]:
    """The functions within the code of ``frame``, its own included, that have an array among their variables."""
    pc = int(frame.pc()) - 1
    whole = [block for block in _outwards(gdb.block_for_pc(pc)) if block.function is not None][-1:]
    if not whole or whole[0].end - whole[0].start > _MAX_LENGTH:
        return []
    code = frame.architecture().disassemble(whole[0].start, whole[0].end - 1)
    found, seen = dict[str, None](), set[tuple[int, int, str]]()
    for each in code:
        blocks = list(_outwards(gdb.block_for_pc(each["addr"])))
        for index, block in enumerate(blocks):
            owner = next((outer.function.name for outer in blocks[index:] if outer.function is not None), None)
            key = block.start, block.end, owner or ""
            if owner and key not in seen and _has_array(block):
                found[owner] = None
            seen.add(key)
    return list(found)


def _outwards(block: gdb.Block | None) -> Iterator[gdb.Block]:
    """A block and those that it is in, within its function's code."""
    while block is not None and not (block.is_static or block.is_global):
        yield block
        block = block.superblock


def _has_array(block: gdb.Block) -> bool:
    for symbol in block:
        kind = symbol.type.strip_typedefs() if symbol.is_variable and symbol.type is not None else None
        if kind is not None and kind.code == gdb.TYPE_CODE_ARRAY:
            return True
    return False
