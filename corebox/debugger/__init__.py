"""What to tell gdb, and what it answers."""

from corebox.debugger.session import (
    CORE,
    ENVIRONMENT,
    GDBINIT,
    REPLACED_EXECUTABLE,
    SCRATCH,
    SCRIPT,
    TOOLBOX,
    gdb_command,
    gdbinit,
)

__all__ = [
    "CORE",
    "ENVIRONMENT",
    "GDBINIT",
    "REPLACED_EXECUTABLE",
    "SCRATCH",
    "SCRIPT",
    "TOOLBOX",
    "gdb_command",
    "gdbinit",
]
