"""Does what may never end in a child process, which can be killed: reading from a mount that nobody answers for.

No signal gets a thread out of a request that a FUSE server has taken and keeps; only the death of its process does
(the kernel's fs/fuse/dev.c, ``request_wait_answer``).
"""

import os
import select
import signal
import time
from typing import Any, Callable


class StalledError(Exception):
    """No answer within the time limit."""


def run_aside(act: Callable[[], Any], seconds: float) -> Any:
    """What ``act`` returns, a value of built-in types; its OSErrors are raised here.

    Raises:
        StalledError: after ``seconds``.
    """
    import pickle  # noqa: PLC0415  # for few mounts

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with open(writing, "wb") as file:
                pickle.dump(_answer(act), file)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        data = _read_all(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    error, value = pickle.loads(data)  # noqa: S301 -- our own process has written it
    if error:
        raise error
    return value


def _answer(act: Callable[[], Any]) -> Any:
    try:
        return None, act()
    except OSError as error:
        return error, None


def _read_all(descriptor: int, deadline: float) -> bytes:
    data = b""
    while True:
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise StalledError
        piece = os.read(descriptor, 1 << 16)
        if not piece and not data:
            raise OSError("it could not be read")
        if not piece:
            return data
        data += piece
