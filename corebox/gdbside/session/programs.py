"""Commands that start a program or take one over, which a session on a core refuses with the reason.

The sandbox would refuse them too, by its filter of system calls, in words that explain nothing.
"""

import gdb

_STARTS = (
    "{} would start the customer's program, but this session only examines its core; "
    "to start it in a sandbox of its own: corebox rerun SUBJECT [ARGUMENTS]"
)
_ATTACHES = "{}: there is no process here but gdb; this session only examines a core"
_WHAT = {
    **dict.fromkeys(("run", "start", "starti"), _STARTS),
    **dict.fromkeys(("attach", "target native", "target remote", "target extended-remote"), _ATTACHES),
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
