"""What to tell gdb, and what it answers."""

from corebox.debugger.answer import ASK, Answer, Frame, Instruction, Register, Stack, Variable, Why, parse_answer
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
    "ASK",
    "CORE",
    "DEBUG",
    "ENVIRONMENT",
    "GDBINIT",
    "GDBSIDE",
    "REPLACED_EXECUTABLE",
    "SCRATCH",
    "SCRIPT",
    "TOOLBOX",
    "Answer",
    "Frame",
    "Instruction",
    "Register",
    "Stack",
    "Variable",
    "Why",
    "gdb_command",
    "gdbinit",
    "parse_answer",
]
