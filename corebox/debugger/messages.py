"""Messages of the Debug Adapter Protocol: a header with the length, then JSON (its specification, "Base Protocol").

Nobody is trusted: what is inside the sandbox is hostile, and so may be who connects to a port. A web page can make a
browser send an HTTP request to this machine, whose header lines an indulgent reader would pass over, and take its body
for a message.
"""

import json
import re
from collections.abc import Callable
from typing import IO, Any

from corebox.debugger.budget import Budget
from corebox.errors import InputError

MAX_SIZE = 16 << 20  # bytes of one message
_MAX_LINE_LENGTH, _MAX_LINES = 256, 4
_LENGTH = re.compile(rb"Content-Length: *([0-9]{1,9})", re.IGNORECASE)
_TYPE = re.compile(rb"Content-Type: *[ -~]*", re.IGNORECASE)

Message = dict[str, Any]


def read_message(stream: IO[bytes], change: Callable[[Message], Message] | None = None) -> Message | None:
    """The next message, each of its objects replaced by what ``change`` makes of it; None at the end of the stream.

    Raises:
        InputError: ``bad-message`` for what is no message, or a larger one than ``MAX_SIZE``.
    """
    length = _read_header(stream)
    if length is None:
        return None
    if length > MAX_SIZE:
        raise _bad_message(f"it has {length} bytes, more than {MAX_SIZE}")
    body = stream.read(length)
    if len(body) < length:
        return None
    try:
        message = Budget(MAX_SIZE).loads(body, change)
    except ValueError as error:
        raise _bad_message(f"it is not JSON, or too much of it ({type(error).__name__})") from error
    if not isinstance(message, dict):
        raise _bad_message("it is not an object")
    return message


def write_message(stream: IO[bytes], message: Message) -> None:
    """Write it, with its header, at once.

    Raises:
        InputError: ``bad-message`` for one that is too deep to be written again.
    """
    try:
        body = json.dumps(message).encode()
    except RecursionError as error:
        raise _bad_message("it is nested too deeply") from error
    stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    stream.flush()


def _read_header(stream: IO[bytes]) -> int | None:
    length = None
    for _ in range(_MAX_LINES):
        line = stream.readline(_MAX_LINE_LENGTH)
        if not line:
            return None
        line = line.rstrip(b"\r\n")
        if not line and length is not None:
            return length
        found = _LENGTH.fullmatch(line)
        if found:
            length = int(found.group(1))
        elif not _TYPE.fullmatch(line):
            break
    raise _bad_message("its header is of another protocol")


def _bad_message(why: str) -> InputError:
    hint = "connect with an editor: corebox ide --help"
    return InputError("bad-message", f"not a message of the Debug Adapter Protocol: {why}", hint)
