"""Commands that start a program, take one over or let it go on, which a session on a core refuses with the reason.

There is no shell either: one from outside would be one more program to trust, and one of the customer's runs his code.

The sandbox would refuse them too, by its filter of system calls, in words that explain nothing.
"""

import gdb

_STARTS = (
    "{} would start the customer's program, but this session only examines its core; "
    "to start it in a sandbox of its own: corebox rerun SUBJECT [ARGUMENTS]"
)
_ATTACHES = "{}: there is no process here but gdb; this session only examines a core"
_GOES_ON = (
    "This is a crashed process, not a running one: {} is not possible. "
    "Look at its threads, stack, variables and memory; to start the program: corebox rerun SUBJECT"
)
_RUNS = (
    "{} needs a shell, and no program is in this sandbox but gdb; to work on what gdb prints, let it write a file: "
    "corebox shell SUBJECT --output DIR, then set logging enabled on; or ask by Python: corebox run SUBJECT SCRIPT"
)
_CORE = "gcore writes the core of a running process; this one's is there: corebox export SUBJECT --core FILE"
_STEPS = (
    *("continue", "next", "nexti", "step", "stepi", "finish", "until", "advance", "jump", "interrupt", "signal"),
    *("queue-signal", "reverse-continue", "reverse-next", "reverse-nexti", "reverse-step", "reverse-stepi"),
    "reverse-finish",
)
_WHAT = {
    **dict.fromkeys(("run", "start", "starti"), _STARTS),
    **dict.fromkeys(_STEPS, _GOES_ON),
    **dict.fromkeys(("attach", "target native", "target remote", "target extended-remote"), _ATTACHES),
    **dict.fromkeys(("shell", "pipe", "make"), _RUNS),
    "generate-core-file": _CORE,  # which gcore is an alias of
}


class _Refused(gdb.Command):
    """A command of gdb's that a session on a core does without."""

    def __init__(self, name: str, reason: str) -> None:
        self.reason = reason
        super().__init__(name, gdb.COMMAND_RUNNING)

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        """Say why not."""
        raise gdb.GdbError(self.reason)


def refuse() -> None:
    """Put our commands in the place of gdb's; its abbreviations lead to ours then."""
    for name, reason in _WHAT.items():
        _Refused(name, reason.format(name))
