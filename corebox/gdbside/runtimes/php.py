"""Runs inside gdb: the functions of PHP 7.3 and later that its interpreter runs.

One call of ``execute_ex`` runs a function and the functions that it calls, and keeps the frame of the innermost one in
a register for good (ZEND_VM_FP_GLOBAL_REG in Zend/zend_execute.c, where the compiler has GNU C's global registers).
Frames are linked (``zend_execute_data`` in Zend/zend_compile.h): those up to the frame that the next call of the
interpreter has are its own.
"""

import struct
from collections.abc import Callable, Iterator

import gdb

INTERPRETER = "execute_ex"
_FRAME_REGISTERS = {"i386:x86-64": "r14", "aarch64": "x27"}
_MAX_FRAMES, _MAX_NATIVE, _MAX_NAME, _MAX_LINE = 10_000, 200, 1000, 1 << 24
_INTERNAL, _KINDS = 1, (1, 2, 4)  # zend_function.type: of an extension; all that have a frame
_STRING = 6  # IS_STRING, in the low bits of zend_string.gc.u.type_info
#: Between these, later releases moved what is before the name of the file in zend_op_array.
_FILE_FIRST, _FILE_LAST = 104, 208
_OPLINE_LINE = 24  # zend_op.lineno

Read = Callable[[int, int], bytes]
Function = tuple[str, str | None, int | None]


def functions(frame: gdb.Frame, read: Read) -> list[Function]:
    """Name, file and line of what a frame of ``INTERPRETER`` runs, the innermost first.

    Nothing is returned of a chain that does not lead to the next call: its registers or its memory were overwritten.
    """
    register = _FRAME_REGISTERS.get(frame.architecture().name())
    if register is None:
        return []
    try:
        end = _caller(frame, register)
        return list(chain(_pointer(frame, register), end, read))
    except (LookupError, gdb.error, ValueError):
        return []


def chain(first: int, end: int, read: Read) -> Iterator[Function]:
    """The functions from one frame of PHP up to another, which is not of them.

    Raises:
        LookupError: one is not a frame, or the chain does not end there.
    """
    seen = 0
    while first != end:
        opline, _, _, function, _, _, caller = struct.unpack("<7Q", read(first, 56))
        seen += 1
        if not first or seen > _MAX_FRAMES:
            raise LookupError("the frames are not linked as PHP links them")
        if function:
            found = _function(function, opline, is_outermost=not caller, read=read)
            if found:
                yield found
        first = caller


def _function(address: int, opline: int, *, is_outermost: bool, read: Read) -> Function | None:
    kind, name, owner = struct.unpack("<B7xQQ", read(address, 24))
    if kind not in _KINDS:
        raise LookupError("there is no function of PHP")
    if kind == _INTERNAL:
        return None  # it has a native frame of its own
    shown = _string(name, read) if name else "{main}" if is_outermost else "include"
    if name and owner:
        shown = f"{_string(struct.unpack('<8xQ', read(owner, 16))[0], read)}::{shown}"
    (line,) = struct.unpack("<I", read(opline + _OPLINE_LINE, 4))
    file = _file(address, line, read)
    return shown, file, line if file else None


def _file(function: int, line: int, read: Read) -> str | None:
    """The name of the file: the string behind which are the first and last line of the function, ``line`` between."""
    fields = read(function + _FILE_FIRST, _FILE_LAST - _FILE_FIRST)
    for at in range(0, len(fields) - 15, 8):
        name, start, end = struct.unpack_from("<QII", fields, at)
        if name and start <= line <= end < _MAX_LINE and start:
            try:
                return _string(name, read)
            except LookupError:
                continue
    return None


def _string(address: int, read: Read) -> str:
    """A ``zend_string``: counter, type, hash, length, and text."""
    _, kind, _, length = struct.unpack("<IIQQ", read(address, 24))
    if kind & 0xF != _STRING or not 0 < length <= _MAX_NAME:
        raise LookupError("there is no string of PHP")
    return read(address + 24, length).decode(errors="replace")


def _caller(frame: gdb.Frame, register: str) -> int:
    """The frame of PHP that the next call of the interpreter has, or 0 if there is none."""
    older = frame.older()
    for _ in range(_MAX_NATIVE):
        if older is None:
            return 0
        if older.name() == INTERPRETER:
            return _pointer(older, register)
        older = older.older()
    raise LookupError("the calls are too far from each other")


def _pointer(frame: gdb.Frame, register: str) -> int:
    return int(frame.read_register(register)) & (1 << 64) - 1
