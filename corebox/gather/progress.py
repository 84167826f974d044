"""One line on a terminal that says how far the gathering is; nothing where nobody looks."""

import time
from typing import TextIO

from corebox.printable import format_size, printable

_INTERVAL = 0.2
_MAX_NAME_LENGTH = 40


class ProgressLine:
    """Call it with the bytes done and the bytes of all; ``clear`` removes the line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._visible = stream.isatty()
        self._began = time.monotonic()
        self._last = self._began

    def __call__(self, done: int, total: int) -> None:
        """Show the state, at most five times a second."""
        if self._is_due():
            self._show(describe_progress(done, total, time.monotonic() - self._began))

    def look(self, count: int, folder: str) -> None:
        """Show how many files of folders were looked at, and where; the bytes are counted from then on."""
        if self._is_due():
            name = printable(folder)
            short = name if len(name) <= _MAX_NAME_LENGTH else "..." + name[-_MAX_NAME_LENGTH:]
            self._show("{} files looked at, now in {}".format(count, short))
        self._began = time.monotonic()

    def _is_due(self) -> bool:
        now = time.monotonic()
        due = self._visible and now - self._last >= _INTERVAL
        self._last = now if due else self._last
        return due

    def _show(self, text: str) -> None:
        self._stream.write("\r\x1b[K" + text)
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
