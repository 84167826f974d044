"""Does what may never end in a child process, which can be killed: reading from a mount that nobody answers for.

No signal gets a thread out of a request that a FUSE server has taken and keeps; only the death of its process does
(the kernel's fs/fuse/dev.c, ``request_wait_answer``).
"""

import json
import os
import select
import signal
import time
from typing import Any, Callable, Optional

from corebox.files.reader import Reader

#: Tells the parent that the child is still at work.
Beat = Callable[[], object]
_MAX_ANSWER = 1 << 20


class StalledError(Exception):
    """Silence for longer than the time limit."""


def run_aside(act: Callable[[Beat], Any], seconds: float, reader: Optional[Reader] = None) -> Any:
    """What ``act`` returns, a value that JSON can hold; the child is ``reader`` altogether, if there is one.

    A FUSE mount answers processes alone whose real, effective and saved user are all the one who mounted it (fuse(4),
    ``allow_other``).

    Raises:
        StalledError: after ``seconds`` without an answer or a beat.
        OSError: the child has ended without an answer.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if reader:
                _become(reader)
            answer = act(lambda: os.write(writing, b"\n"))
            with open(writing, "w") as file:
                json.dump(answer, file)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        return _read_answer(reading, seconds)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _become(reader: Reader) -> None:
    """Give up what root may, for good; the kernel lets nobody trace such a process (ptrace(2), dumpable)."""
    os.setgroups(reader.groups)
    os.setresgid(reader.gid, reader.gid, reader.gid)
    os.setresuid(reader.uid, reader.uid, reader.uid)


def _read_answer(descriptor: int, seconds: float) -> Any:
    data = b""
    deadline = time.monotonic() + seconds
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(descriptor, 1 << 16)
        if not piece or len(data) > _MAX_ANSWER:
            try:
                return json.loads(data.decode())
            except ValueError as error:
                raise OSError("it could not be read") from error
        data += piece.lstrip(b"\n")
        deadline = time.monotonic() + seconds
    raise StalledError
