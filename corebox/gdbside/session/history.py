"""The commands of earlier sessions come in as a file, and those of this one leave through a pipe.

Both are there in a session at a terminal only. Nothing else of the machine outside can be written to from here.
"""

import atexit
import os
import pathlib

import gdb

PAST, PIPE = pathlib.Path("/.corebox/history"), "/.corebox/history.pipe"
FILE = pathlib.Path("/.corebox/tmp/.gdb_history")
MAX_SIZE = 1 << 16  # bytes; more does not fit into a pipe (pipe(7))


def begin() -> None:
    """Let gdb read the past commands at its start, and keep all."""
    if PAST.exists():
        FILE.write_bytes(PAST.read_bytes())
        gdb.execute("set history size 1000")
        gdb.execute(f"set history filename {FILE}")
        gdb.execute("set history save on")
        atexit.register(end)


def end() -> None:
    """Hand them out; gdb writes its file before it ends its Python (quit_force in gdb/top.c)."""
    commands = FILE.read_bytes()
    if len(commands) > MAX_SIZE:
        commands = commands[-MAX_SIZE:].partition(b"\n")[2]
    pipe = os.open(PIPE, os.O_WRONLY | os.O_NONBLOCK)
    os.write(pipe, commands)
    os.close(pipe)
