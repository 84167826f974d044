"""A session at a terminal, typed at through a pty."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from pathlib import Path

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

    def leave(self) -> int:
        """Quit, and return the status."""
        self.type(b"quit\n")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status)


def test_a_session_at_a_terminal(lab: Lab, bundle: Path, engine: str) -> None:
    image = lab.build(bundle)["image_id"]
    environment = {**os.environ, "COREBOX_HOME": str(lab.home), "TERM": "dumb"}
    typist = Typist([sys.executable, "-m", "corebox", "shell", image, "--engine", engine], environment)
    opened = typist.wait_for(PROMPT)
    assert b"pipeline died of SIGSEGV at address 0x0" in opened
    assert b"Type <RET> for more" not in opened, "the pager waits for the first prompt"
    typist.type(b"python while True: pass\n")
    time.sleep(1)
    typist.type(b"\x03")
    assert b"Quit" in typist.wait_for(PROMPT), "Ctrl-C stops the command and not the session"
    typist.type(b"backtrace 1\n")
    assert b"compare (left=" in typist.wait_for(PROMPT)
    assert typist.leave() == 0


def test_a_session_under_bubblewrap_has_bounded_memory_and_leaves_no_core(lab: Lab, bundle: Path) -> None:
    """A container has the engine's own limits; here the kernel keeps them (setrlimit(2))."""
    names = ("RLIMIT_DATA", "RLIMIT_CORE")
    script = "import resource; print('limits', *(resource.getrlimit(getattr(resource, name))[1] for name in {}))"
    shown = lab.gdb(bundle, "bubblewrap", "python " + script.format(names)).output
    assert f"limits {16 << 30} 0" in shown
