"""Which threads wait for which mutexes, and who holds them.

From the system call that a thread waits in and glibc's layout of a mutex (nptl/bits/struct_mutex.h), without symbols.
"""

import contextlib
import re
import struct

import gdb

from corebox.gdbside import selection
from corebox.gdbside.memory import mapped
from corebox.gdbside.why.deadlock import Wait, explained
from corebox.gdbside.why.facts import Cause, plain

# System call number of futex(2) and the registers of it and of its first argument.
_FUTEX = (("orig_rax", 202, "rdi"), ("x8", 98, "x0"), ("orig_eax", 240, "ebx"), ("a7", 98, "a0"))
_MAX_THREADS, _MAX_NAMES = 4096, 12
_RUNTIME = re.compile(r"/lib(c|pthread|stdc\+\+|c\+\+)[-.][^/]*$")
_TID = 0x3FFFFFFF


def explain(cause: Cause) -> tuple[Cause, int | None]:
    """See ``deadlock.explained``."""
    return explained(cause, find(), {each.ptid[1]: each.num for each in gdb.selected_inferior().threads()})


def find() -> list[Wait]:
    """The threads that wait for a mutex that another thread, or the same, holds."""
    threads = gdb.selected_inferior().threads()[:_MAX_THREADS]
    tids = {thread.ptid[1] for thread in threads}
    found = []
    with selection.kept():
        for thread in sorted(threads, key=lambda each: each.num):
            with contextlib.suppress(gdb.error, gdb.MemoryError, ValueError):
                thread.switch()
                found.append(_wait(thread, tids))
    return [wait for wait in found if wait]


def _wait(thread: gdb.InferiorThread, tids: set[int]) -> Wait | None:
    frame = gdb.newest_frame()
    mutex = _futex(frame)
    if mutex is None:
        return None
    data = gdb.selected_inferior().read_memory(mutex, 12).tobytes()
    lock, _, owner = struct.unpack(mapped.opened().order + "iIi", data)
    if not lock or (owner & _TID) not in tids:
        return None
    return Wait(thread.num, thread.ptid[1], mutex, owner & _TID, _own_function(frame))


def _futex(frame: gdb.Frame) -> int | None:
    for number, futex, argument in _FUTEX:
        with contextlib.suppress(ValueError, gdb.error):
            if int(frame.read_register(number)) == futex:
                return int(frame.read_register(argument)) & (1 << 64) - 1
    return None


def _own_function(frame: gdb.Frame | None) -> str:
    """The function that locks: the first that is not of the C or C++ library."""
    for _ in range(_MAX_NAMES):
        if frame is None:
            break
        name = plain(frame.name())
        if not name and not _RUNTIME.search(gdb.current_progspace().solib_name(int(frame.pc())) or ""):
            break
        if name and not name.startswith(("_", "pthread_", "futex", "lll_", "std::", "mtx_")):
            return name
        frame = frame.older()
    return ""
