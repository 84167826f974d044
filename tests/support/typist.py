"""A user at a terminal, typed at through a pty."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

from tests.support.lab import Lab

PROMPT = b"(gdb) "


class Typist:
    """Sits at a terminal of 24 lines in which a program runs."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def wait_for(self, word: bytes, limit: float = 60) -> bytes:
        """What appears up to ``word``."""
        shown, deadline = b"", time.monotonic() + limit
        while word not in shown:
            assert time.monotonic() < deadline, shown.decode(errors="replace")
            if select.select([self.terminal], [], [], 0.1)[0]:
                shown += os.read(self.terminal, 65536)
        return shown

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.terminal, keys)

    def leave(self, keys: bytes = b"quit\n") -> int:
        """Quit, and return the status."""
        self.type(keys)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status)


def sit_down(lab: Lab, *arguments: object) -> Typist:
    """Somebody who has typed ``corebox shell`` with these arguments."""
    command = [sys.executable, "-m", "corebox", "shell", *map(str, arguments)]
    return Typist(command, environment_of(lab))


def environment_of(lab: Lab) -> dict[str, str]:
    """What a program at the lab's desk has, on a terminal that can do nothing."""
    return {**os.environ, "COREBOX_HOME": str(lab.home), "TERM": "dumb"}
