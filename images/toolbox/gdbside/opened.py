"""Runs inside gdb when a core is opened: puts the executable where it was, and greets who sees no prompt."""

import os
import pathlib
import re
import struct
import sys

import corefile
import gdb

_AT_PHDR, _AT_ENTRY = 3, 9  # getauxval(3)
_UNSAFE = re.compile(r"([^A-Za-z0-9/._+-])")


def prepare(banner):
    """Put the executable in its place whenever a core is opened, and show the lines of ``banner`` then to an IDE."""

    def opened(_event):
        if gdb.selected_thread() is None:  # it was closed
            return
        place_executable(corefile.CoreFile())
        if "gdb.dap" in sys.modules:
            # gdb's DAP captures what is written while it opens the core; this descriptor it reads for the client.
            os.write(1, "".join(line + "\n" for line in banner()).encode())

    if hasattr(gdb.events, "corefile_changed"):  # new in gdb 17
        gdb.events.corefile_changed.connect(opened)


def open_core(path):
    """Open a core of another processor than gdb's, and hand on what gdb says, but for two things that mislead.

    It misses a libthread_db, which can only be of its own processor, and shows the innermost frame before the
    executable is in its place.
    """
    said = gdb.execute("core-file " + path, to_string=True)
    said = re.sub(r"warning: Unable to find libthread_db .*\n", "", said)
    gdb.write(re.sub(r"^#0 .*", "", said, flags=re.MULTILINE | re.DOTALL))
    gdb.execute("frame")


def place_executable(core):
    """Load the symbols where the program lay, if gdb did not.

    gdb finds out by how much a position-independent executable was moved, but takes it for another program unless its
    program headers are in the core's memory (svr4_exec_displacement in gdb/solib-svr4.c). qemu-user leaves out the
    page that they are in, and names no file to read it from: it reads as zeros.
    """
    path = gdb.current_progspace().filename
    if path is None or "\n" in path or not {_AT_PHDR, _AT_ENTRY} <= core.auxv.keys():
        return
    try:
        headers = gdb.selected_inferior().read_memory(core.auxv[_AT_PHDR], 32).tobytes()
        moved = core.auxv[_AT_ENTRY] - _entry(path, core)
    except (gdb.MemoryError, OSError, struct.error):
        return
    if not any(headers) and moved > 0:
        # A backslash before a character takes its meaning away (libiberty's buildargv).
        gdb.execute(f"symbol-file -o {moved:#x} " + _UNSAFE.sub(r"\\\1", path), to_string=True)


def _entry(path, core):
    """``e_entry`` of an ELF file (elf(5))."""
    with pathlib.Path(path).open("rb") as file:
        return core.unpack("Q" if core.word == 8 else "I", file.read(64), 24)[0]
