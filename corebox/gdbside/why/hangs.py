"""Runs inside gdb: which threads wait for which mutexes, who holds them, and whether they wait in a circle.

From the system call that a thread waits in and glibc's layout of a mutex (nptl/bits/struct_mutex.h), without symbols.
"""

import contextlib
import re
import struct
from typing import NamedTuple

import gdb

from corebox.gdbside.why import faults

# System call number of futex(2) and the registers of it and of its first argument.
_FUTEX = (("orig_rax", 202, "rdi"), ("x8", 98, "x0"), ("orig_eax", 240, "ebx"), ("a7", 98, "a0"))
_MOST_THREADS, _MOST_NAMES, _MOST_LINES = 4096, 12, 24
_RUNTIME = re.compile(r"/lib(c|pthread|stdc\+\+|c\+\+)[-.][^/]*$")
_TID = 0x3FFFFFFF


class Wait(NamedTuple):
    """A thread (gdb's number, the kernel's) that waits for a mutex, and the kernel's number of the owner."""

    number: int
    tid: int
    mutex: int
    owner: int
    function: str


def explain(cause):
    """The cause again, or the deadlock that explains why somebody ended or copied the process; and who waits.

    With it, of a deadlock, gdb's number of a thread of it, which stands for all; else None.
    """
    waits = find()
    by_tid = {wait.tid: wait for wait in waits}
    circle = next(filter(None, (_circle(wait, by_tid) for wait in waits)), None)
    numbers = {thread.ptid[1]: thread.num for thread in gdb.selected_inferior().threads()}
    lines = [_line(wait, numbers) for wait in sorted(circle or waits)[:_MOST_LINES]]
    if circle:
        names = ", ".join(sorted({wait.function for wait in circle if wait.function}))
        first = min(circle, key=lambda wait: (wait.function, wait.number))
        return faults.Cause("deadlock", _sentence(circle), [*lines, *cause.evidence], names or None), first.number
    return cause._replace(evidence=[*cause.evidence, *lines]), None


def find():
    """The threads that wait for a mutex that another thread, or the same, holds."""
    selected, frame = gdb.selected_thread(), gdb.selected_frame()
    threads = gdb.selected_inferior().threads()[:_MOST_THREADS]
    tids = {thread.ptid[1] for thread in threads}
    found = []
    for thread in sorted(threads, key=lambda each: each.num):
        with contextlib.suppress(gdb.error, gdb.MemoryError, ValueError):
            thread.switch()
            found.append(_wait(thread, tids))
    selected.switch()
    frame.select()
    return [wait for wait in found if wait]


def _wait(thread, tids):
    frame = gdb.newest_frame()
    mutex = _futex(frame)
    if mutex is None:
        return None
    order = "<" if gdb.execute("show endian", to_string=True).count("little") else ">"
    lock, _, owner = struct.unpack(order + "iIi", gdb.selected_inferior().read_memory(mutex, 12).tobytes())
    if not lock or (owner & _TID) not in tids:
        return None
    return Wait(thread.num, thread.ptid[1], mutex, owner & _TID, _own_function(frame))


def _futex(frame):
    for number, futex, argument in _FUTEX:
        with contextlib.suppress(ValueError, gdb.error):
            if int(frame.read_register(number)) == futex:
                return int(frame.read_register(argument)) & (1 << 64) - 1
    return None


def _own_function(frame):
    """The function that locks: the first that is not of the C or C++ library."""
    for _ in range(_MOST_NAMES):
        name = faults.plain(frame.name())
        if not name and not _RUNTIME.search(gdb.current_progspace().solib_name(int(frame.pc())) or ""):
            break
        if name and not name.startswith(("_", "pthread_", "futex", "lll_", "std::", "mtx_")):
            return name
        frame = frame.older()
        if frame is None:
            break
    return ""


def _circle(wait, by_tid):
    """The waits from ``wait`` on until they come back to it, or None."""
    found = [wait]
    while len(found) <= len(by_tid):
        following = by_tid.get(found[-1].owner)
        if following is None:
            return None
        if following.tid == wait.tid:
            return found
        found.append(following)
    return None


def _sentence(circle):
    if len(circle) == 1:
        return f"Deadlock: thread {circle[0].number} waits for a mutex that it holds itself"
    numbers = [str(wait.number) for wait in sorted(circle)]
    return f"Deadlock: threads {', '.join(numbers[:-1])} and {numbers[-1]} wait for each other's mutexes"


def _line(wait, numbers):
    where = f" in {wait.function}" if wait.function else ""
    holder = f"thread {numbers[wait.owner]} (LWP {wait.owner})"
    return f"thread {wait.number} (LWP {wait.tid}) waits{where} for the mutex at {wait.mutex:#x}, held by {holder}"
