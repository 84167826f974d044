"""Giving the terminal away to a child, and taking it back as it was."""

import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType


def attach(
    command: Sequence[str],
    pass_fds: Sequence[int] = (),
    shielded: bool = False,
    prepare: Callable[[], None] | None = None,
) -> int:
    """Run ``command`` with our own standard streams and return its status (128 + number for a signal).

    Ctrl-C belongs to the child while it runs: gdb uses it to stop a long print. A ``shielded`` command ignores it
    and leaves it to what it starts; gdb sets a handler of its own (async_init_signals in gdb/event-top.c).
    ``prepare`` runs in the child before it becomes the command.
    """
    with (
        _restored_terminal(),
        _ctrl_c_for_the_child(shielded),
        subprocess.Popen(command, pass_fds=pass_fds, preexec_fn=prepare) as child,  # noqa: PLW1509  # no thread of ours runs by then
    ):
        return exit_status(child.wait())


def exit_status(code: int) -> int:
    """The shell's form of a Popen return code: a death by signal N is 128 + N."""
    return 128 - code if code < 0 else code


@contextmanager
def _ctrl_c_for_the_child(shielded: bool) -> Iterator[None]:
    def ignore(_number: int, _frame: FrameType | None) -> None:
        """A handler ends with exec, so that the child has the default again; SIG_IGN stays (signal(7))."""

    previous = signal.signal(signal.SIGINT, signal.SIG_IGN if shielded else ignore)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _restored_terminal() -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    state = termios.tcgetattr(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, state)
