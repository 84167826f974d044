"""The bound of gdb's memory."""

import subprocess
import sys

from corebox.gdbside.session.bounds import MAX_MAPPED

#: Says how many GiB could be had, at most 64; none of it is touched, so that it costs nothing.
FREEZING = """
import ctypes
from corebox.gdbside.session.bounds import bound_memory
bound_memory()
libc, failed = ctypes.CDLL(None), ctypes.c_void_p(-1).value
libc.mmap.restype = ctypes.c_void_p
def frozen():
    place = libc.mmap(None, ctypes.c_size_t(1 << 30), 3, 0x4022, -1, ctypes.c_long(0))  # private, without reserve
    return place != failed and libc.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(1 << 30), 1) == 0
print(next((count for count in range(64) if not frozen()), 64))
"""


def test_memory_that_is_made_read_only_counts() -> None:
    done = subprocess.run([sys.executable, "-c", FREEZING], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) <= MAX_MAPPED >> 30
