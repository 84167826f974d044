"""What to tell gdb, and what it answers."""

from corebox.debugger.session import (
    CORE,
    DEBUG,
    ENVIRONMENT,
    GDBINIT,
    GDBSIDE,
    REPLACED_EXECUTABLE,
    SCRATCH,
    SCRIPT,
    TOOLBOX,
    gdb_command,
    gdbinit,
)

__all__ = [
    "CORE",
    "DEBUG",
    "ENVIRONMENT",
    "GDBINIT",
    "GDBSIDE",
    "REPLACED_EXECUTABLE",
    "SCRATCH",
    "SCRIPT",
    "TOOLBOX",
    "gdb_command",
    "gdbinit",
]
