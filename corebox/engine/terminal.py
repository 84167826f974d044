"""Giving the terminal away to a child, and taking it back as it was."""

import ctypes
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

#: What escape sequences of a hostile script can leave on a terminal, undone (xterm's ctlseqs; others ignore what they
#: do not know). DECSTR: cursor shown, wrapping, scrolling region, character sets, colours, keypad and cursor keys. Then
#: the screen of before (1047: 1049 would move the cursor), no report of the mouse (1000 to 1006, 1015), of focus (1004)
#: and of pasting (2004), kitty's keyboard as it was; line drawing off, and the colours of the palette.
RESET = (
    b"\x1b[!p\x1b[?1047l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?2004l"
    b"\x1b[=0u\x1b(B\x0f\x1b[0m\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\"
)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    """In a child before exec: the kernel kills it when we die, whatever we die of."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def attach(
    command: Sequence[str],
    pass_fds: Sequence[int] = (),
    shielded: bool = False,
    prepare: Callable[[], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run ``command`` with our own standard streams and return its status (128 + number for a signal).

    Ctrl-C belongs to the child while it runs: gdb uses it to stop a long print. A ``shielded`` command ignores it
    and leaves it to what it starts; gdb sets a handler of its own (async_init_signals in gdb/event-top.c).
    ``prepare`` runs in the child before it becomes the command.
    """
    with (
        _restored_terminal(),
        _ctrl_c_for_the_child(shielded),
        subprocess.Popen(command, pass_fds=pass_fds, preexec_fn=prepare, env=environment) as child,  # noqa: PLW1509  # no thread of ours runs by then
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
        if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            os.write(sys.stdout.fileno(), RESET)
        # What was typed and not read goes too: a terminal answers queries as if the user had typed the answer.
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, state)
