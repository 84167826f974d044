"""Runs inside gdb: what the C library and libraries like it said before they aborted."""

import re

import gdb

from corebox.gdbside.why import faults
from corebox.gdbside.why.faults import Cause

_HEAP_MESSAGE = re.compile(
    r"(malloc|free|realloc|calloc|munmap_chunk|malloc_consolidate|corrupted|double free|invalid|chunk_main_arena)\b"
)
_EXPRESSION = re.compile(r"Assertion `(.*)' failed", re.DOTALL)
_LONGEST = 1024


def aborted(fault):
    """Glibc keeps what it says in __abort_msg (sysdeps/posix/libc_fatal.c, assert/assert.c), glib likewise."""
    if fault.signal != faults.SIGABRT:
        return None
    said = _glib_message() if fault.runs_like("g_assertion_message") else None
    if said:
        return Cause("assertion", f"Assertion failed: {said}", ["__glib_assert_msg"], said.rpartition(": ")[2])
    message = _abort_message(fault.core.byte_order)
    if message is None or not _speaks(fault):
        return Cause("abort", "The program called abort()", ["no message of the C library is in the core"])
    evidence = [f"__abort_msg: {message}"]
    if "stack smashing detected" in message:
        return Cause("stack-smashing", "Stack buffer overflow: stack smashing detected", evidence)
    if "buffer overflow detected" in message:
        return Cause("buffer-overflow", "Buffer overflow detected in a call of the C library", evidence)
    if "Assertion" in message:
        expression = _EXPRESSION.search(message)
        return Cause("assertion", message, evidence, expression and expression[1])
    if _HEAP_MESSAGE.match(message) or fault.runs("malloc_printerr"):
        return Cause("heap-corruption", f"Heap corruption: {message}", evidence)
    return Cause("abort", f"The program aborted: {message}", evidence)


def _speaks(fault):
    """Whether the abort of this stack is the one that the message belongs to; else it is an old one."""
    return not fault.index or fault.signal == faults.SIGABRT


def _glib_message():
    try:
        return gdb.parse_and_eval("*(char **) &__glib_assert_msg").string(length=-1)[:_LONGEST]
    except (gdb.error, gdb.MemoryError, UnicodeError):
        return None


def _abort_message(byte_order):
    try:
        pointer = int(gdb.parse_and_eval("*(char **) &__abort_msg"))
        if not pointer:
            return None
        memory = gdb.selected_inferior().read_memory
        size = int.from_bytes(memory(pointer, 4).tobytes(), byte_order)
        data = memory(pointer + 4, min(size, _LONGEST) - 4).tobytes()
    except (gdb.error, gdb.MemoryError, ValueError, OverflowError):
        return None
    return data.split(b"\0")[0].decode("utf-8", "replace").strip() or None


KINDS = (aborted,)
