"""One line on a terminal that says how far the gathering is; nothing where nobody looks."""

import time
from typing import TextIO

from corebox.printable import format_size

_INTERVAL = 0.2


class ProgressLine:
    """Call it with the bytes done and the bytes of all; ``clear`` removes the line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._visible = stream.isatty()
        self._began = time.monotonic()
        self._last = self._began

    def __call__(self, done: int, total: int) -> None:
        """Show the state, at most five times a second."""
        now = time.monotonic()
        if self._visible and now - self._last >= _INTERVAL:
            self._last = now
            self._stream.write("\r\x1b[K" + describe_progress(done, total, now - self._began))
            self._stream.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._visible:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def describe_progress(done: int, total: int, seconds: float) -> str:
    """Bytes, rate and time left, e.g. ``1.2 GB of 4.0 GB, 410.0 MB/s, 7 s left``."""
    rate = done / seconds if seconds > 0 else 0.0
    left = ", {:.0f} s left".format((total - done) / rate) if rate else ""
    return "{} of {}, {}/s{}".format(format_size(done), format_size(total), format_size(int(rate)), left)
