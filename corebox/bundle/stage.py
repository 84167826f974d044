"""A stage of a pipeline: one thread that does one thing to all that passes, in order, beside the others.

Hashing, compressing and writing release the interpreter's lock; so do they use more than one processor.
"""

from collections import deque
from typing import TYPE_CHECKING, Callable, Deque

if TYPE_CHECKING:
    from concurrent.futures import Future

_MOST_WAITING = 16  # pieces of at most 1 MiB: what bounds the memory


class Stage:
    """Calls ``act`` with what is ``put``, to be used with ``with``: all has been done when the block ends."""

    def __init__(self, act: Callable[..., object], most_waiting: int = _MOST_WAITING) -> None:
        self._act = act
        self._most_waiting = most_waiting
        self._waiting: "Deque[Future[object]]" = deque()

    def __enter__(self) -> "Stage":
        # It brings the whole of logging with it, which takes longer than all that opens an image and writes nothing.
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        self._thread = ThreadPoolExecutor(1)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            for waiting in self._waiting:
                waiting.cancel()
            self._end()

    @property
    def full(self) -> bool:
        """Whether ``put`` would wait now: time for the caller to do something of the work itself."""
        return len(self._waiting) == self._most_waiting and not self._waiting[0].done()

    def put(self, *arguments: object) -> None:
        """Hand on; waits for an earlier one if too many are on their way, and raises what ``act`` raised."""
        if len(self._waiting) == self._most_waiting:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._act, *arguments))

    def _end(self) -> None:
        """Wait for the thread, Ctrl-C or not: afterwards its files may be closed."""
        try:
            self._thread.shutdown()
        except KeyboardInterrupt:
            self._thread.shutdown()
            raise

    def finish(self) -> None:
        """Wait until all has been done."""
        while self._waiting:
            self._waiting.popleft().result()
