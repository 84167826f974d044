"""What to tell gdb, and what it answers.

What takes answers apart, and what stands between gdb and an editor, is imported from its own module: who only opens a
crash need not wait for it.
"""

from corebox.debugger.session import (
    ASK,
    ASK_SOURCES,
    CORE,
    DEBUG,
    ENVIRONMENT,
    FETCHED,
    FORCED,
    GDBINIT,
    GDBSIDE,
    HISTORY,
    HISTORY_PIPE,
    PYTHON_PROMPT,
    READ_USER_GDBINIT,
    REPLACED_EXECUTABLE,
    SCRATCH,
    SCRIPT,
    SOURCES,
    SYMBOL_STATUS,
    TOOLBOX,
    USER_GDBINIT,
    add_symbols,
    gdb_command,
    gdbinit,
    is_foreign,
    source_arguments,
)
from corebox.debugger.sources import SourceFolder, parse_source

__all__ = [
    "ASK",
    "ASK_SOURCES",
    "CORE",
    "DEBUG",
    "ENVIRONMENT",
    "FETCHED",
    "FORCED",
    "GDBINIT",
    "GDBSIDE",
    "HISTORY",
    "HISTORY_PIPE",
    "PYTHON_PROMPT",
    "READ_USER_GDBINIT",
    "REPLACED_EXECUTABLE",
    "SCRATCH",
    "SCRIPT",
    "SOURCES",
    "SYMBOL_STATUS",
    "TOOLBOX",
    "USER_GDBINIT",
    "SourceFolder",
    "add_symbols",
    "gdb_command",
    "gdbinit",
    "is_foreign",
    "parse_source",
    "source_arguments",
]
