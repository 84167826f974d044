"""Where the fields of CPython's structures are, on 64 bits: by version, and since 3.13 as it says itself.

The numbers are those of the headers in Include/ (``offsetof``); they are the same in all releases of a version. Nothing
is believed because of them: whoever reads with them proves each object by its type.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from corebox.gdbside.runtimes import cpythonlines as lines

OLDEST, NEWEST = (3, 7), (3, 13)
Read = Callable[[int, int], bytes]


class Layout(NamedTuple):
    """Offsets in bytes; None where a version has no such field.

    Attributes:
        first_interpreter, gil_holder: in ``_PyRuntime``.
        next_interpreter, interpreter_number, first_thread, gil: in an interpreter.
        next_thread, interpreter, ident, lwp, running: in a thread's state.
        ran, outer_call: in what is on the stack of each call of the evaluator: the Python frame, and the call before.
        calls: in a thread's state, where the innermost of those is.
        back, code, place, owner, entry, frame_size: in a Python frame.
        file, name, first_line, table, bytecode: in a code object; the bytecode is in it since 3.11.
        text: bytes of a string before its characters, in ASCII.
        text_wide: the same, of others.
        kind: in a string.
        line: decodes the table of lines.
    """

    first_interpreter: int
    first_thread: int
    interpreter_number: int
    ident: int
    running: int
    back: int
    code: int
    place: int
    frame_size: int
    file: int
    name: int
    first_line: int
    table: int
    bytecode: int
    line: Callable[[int, bytes, int], int | None]
    text: int = 48
    text_wide: int = 72
    next_interpreter: int = 0
    next_thread: int = 8
    interpreter: int = 16
    lwp: int | None = None
    calls: int | None = None
    outer_call: int | None = None
    ran: int | None = None
    owner: int | None = None
    entry: int | None = None
    gil_holder: int | None = None
    gil: int | None = None
    type: int = 8
    size: int = 16
    kind: int = 32
    bytes: int = 32


_37 = Layout(
    first_interpreter=24, first_thread=8, interpreter_number=16, ident=176, running=24, gil_holder=1272,
    back=24, code=32, place=104, frame_size=112,
    file=96, name=104, first_line=36, table=112, bytecode=40, line=lines.line_until_39,
)  # fmt: skip
_38 = _37._replace(
    first_interpreter=32, gil_holder=1160, file=104, name=112, first_line=40, table=120, bytecode=48
)  # fmt: skip
_39 = _38._replace(interpreter_number=24, gil_holder=360)
_310 = _39._replace(place=96, frame_size=104, calls=48, outer_call=8, line=lines.line_310)
_311 = Layout(
    first_interpreter=40, first_thread=16, interpreter_number=48, ident=152, lwp=160, running=56, gil_holder=368,
    calls=56, ran=8, outer_call=16, back=48, code=32, place=56, entry=68, owner=69, frame_size=72,
    file=112, name=120, first_line=72, table=136, bytecode=184, line=lines.line_since_311,
)  # fmt: skip
_312 = _311._replace(
    first_thread=72, interpreter_number=8, ident=136, lwp=144, ran=0, gil_holder=None, gil=384,
    calls=None, outer_call=None, entry=None, back=8, code=0, owner=70,
    first_line=68, bytecode=192, text=40, text_wide=56,
)  # fmt: skip
_BY_VERSION = {(3, 7): _37, (3, 8): _38, (3, 9): _39, (3, 10): _310, (3, 11): _311, (3, 12): _312}

#: How _PyRuntime begins in 3.13 (Include/internal/pycore_runtime.h, _Py_DebugOffsets): offsets, behind three others.
_COOKIE = b"xdebugpy"
_TOLD = {
    "runtime_state": "size finalizing interpreters_head",
    "interpreter_state": "size id next threads_head gc imports_modules sysdict builtins ceval_gil gil_runtime_state"
    " gil_runtime_state_enabled gil_runtime_state_locked gil_runtime_state_holder",
    "thread_state": "size prev next interp current_frame thread_id native_thread_id datastack_chunk status",
    "interpreter_frame": "size previous executable instr_ptr localsplus owner",
    "code_object": "size filename name qualname linetable firstlineno argcount localsplusnames localspluskinds"
    " co_code_adaptive",
    "pyobject": "size ob_type",
    "type_object": "size tp_name tp_repr tp_flags",
    "tuple_object": "size ob_item ob_size",
    "list_object": "size ob_item ob_size",
    "dict_object": "size ma_keys ma_values",
    "float_object": "size ob_fval",
    "long_object": "size lv_tag ob_digit",
    "bytes_object": "size ob_size ob_sval",
    "unicode_object": "size state length asciiobject_size",
}
_NAMES = [f"{owner}.{field}" for owner, fields in _TOLD.items() for field in fields.split()]
_HEAD = struct.Struct(f"<8sQQ{len(_NAMES)}Q")
_MAX_OFFSET = 1 << 20


def layout(version: tuple[int, int], read: Read, runtime: int) -> Layout:
    """That of a version; ``runtime`` is where its ``_PyRuntime`` is.

    Raises:
        LookupError: it is not supported, or does not say what it has to.
    """
    if version in _BY_VERSION:
        return _BY_VERSION[version]
    if version != NEWEST:
        name = ".".join(map(str, version))
        raise LookupError(f"CPython {name} is not read by corebox itself")
    cookie, told_version, _free_threaded, *offsets = _HEAD.unpack(read(runtime, _HEAD.size))
    told = dict(zip(_NAMES, offsets, strict=True))
    if cookie != _COOKIE or told_version >> 16 != NEWEST[0] << 8 | NEWEST[1] or max(offsets) > _MAX_OFFSET:
        raise LookupError("CPython 3.13 does not say where its fields are")
    return _told(told)


def _told(told: dict[str, int]) -> Layout:
    interpreter, thread, frame, code = "interpreter_state.", "thread_state.", "interpreter_frame.", "code_object."
    text = told["unicode_object.asciiobject_size"]
    return Layout(
        first_interpreter=told["runtime_state.interpreters_head"],
        next_interpreter=told[interpreter + "next"],
        interpreter_number=told[interpreter + "id"],
        first_thread=told[interpreter + "threads_head"],
        gil=told[interpreter + "ceval_gil"],
        next_thread=told[thread + "next"],
        interpreter=told[thread + "interp"],
        ident=told[thread + "thread_id"],
        lwp=told[thread + "native_thread_id"],
        running=told[thread + "current_frame"],
        back=told[frame + "previous"],
        code=told[frame + "executable"],
        place=told[frame + "instr_ptr"],
        owner=told[frame + "owner"],
        frame_size=told[frame + "localsplus"],
        file=told[code + "filename"],
        name=told[code + "name"],
        table=told[code + "linetable"],
        first_line=told[code + "firstlineno"],
        bytecode=told[code + "co_code_adaptive"],
        line=lines.line_since_311,
        type=told["pyobject.ob_type"],
        size=told["bytes_object.ob_size"],
        bytes=told["bytes_object.ob_sval"],
        text=text,
        text_wide=text + 16,
        kind=told["unicode_object.state"],
    )
