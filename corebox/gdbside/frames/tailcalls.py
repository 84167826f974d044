"""Runs inside gdb: a function that was called and is not on the stack, because it ended with a jump to another one.

Optimisers turn a call at the end of a function into a jump, so that the function's frame is gone. The call in its
caller still names it: that is evidence enough to tell what the stack does not show.
"""

import re
from collections.abc import Iterator

import gdb

from corebox.gdbside.frames import trampoline, x86
from corebox.gdbside.frames.codemap import Memory
from corebox.gdbside.frames.evidence import evidence
from corebox.gdbside.frames.processors import AMD64
from corebox.gdbside.frames.x86frames import start_of_function

_NAME = re.compile(r"(.+?) in section ")
_known: dict[tuple[int, int], str | None] = {}


def left(frame: gdb.Frame) -> str | None:
    """The function that ``frame`` called directly, within its file, if another function runs in its place."""
    newer = frame.newer()
    if newer is None or newer.type() != gdb.NORMAL_FRAME or trampoline.is_trampoline(newer):
        return None
    if frame.architecture().name() != AMD64:
        return None
    key = int(frame.pc()), int(newer.pc())
    if key not in _known:
        try:
            _known[key] = _left(*key)
        except (gdb.error, RuntimeError, OverflowError):
            _known[key] = None
    return _known[key]


def callee(pc: int) -> str | None:
    """The function that the call before ``pc`` is of, also one of another file; None if that cannot be told."""
    known = evidence.open()
    target = x86.called(known, pc) if known else None
    return None if target is None else _name_at(target)


def _left(pc: int, inner: int) -> str | None:
    known = evidence.open()
    if known is None or not x86.calls_directly(known.code(pc - 5, 5)):
        return None
    target = x86.called(known, pc)
    if target is None or known.objfile(target) is None or known.objfile(target) != known.objfile(pc):
        return None
    return None if _is_within(known, inner, target) else _name_at(target)


def _name_at(address: int) -> str | None:
    """The function that begins at an address."""
    named = _NAME.match(gdb.execute(f"info symbol {address:#x}", to_string=True).partition("\n")[0])
    if named is None or " + " in named[1]:
        return None
    block = gdb.block_for_pc(address)  # its name is written as those of frames are
    return block.function.name if block and block.function and block.start == address else named[1]


def _is_within(known: Memory, inner: int, target: int) -> bool:
    """Whether the code at ``inner`` is of the function at ``target``, or may be."""
    starts = list(_starts(inner))
    if not starts:  # no name is known of it; in another file it is another function
        return bool(known.objfile(inner) == known.objfile(target))
    return target in starts or x86.jumped_to(known, target) in starts


def _starts(pc: int) -> Iterator[int]:
    """Where the function begins that ``pc`` is in: by debug information, also by symbol."""
    for address in (pc, pc - 1):  # behind a call that does not return the next function begins
        block = gdb.block_for_pc(address)
        while block is not None and not (block.is_static or block.is_global):
            if block.function is not None:
                yield block.start
            block = block.superblock
    start = start_of_function(pc)
    if start is not None:
        yield start
