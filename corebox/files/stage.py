"""A stage of a pipeline: one thread that does one thing to all that passes, in order, beside the others.

Hashing, compressing and writing release the interpreter's lock; so do they use more than one processor.
Not made of ``concurrent.futures``, which brings the whole of logging with it: that takes longer to import than most
crashes take to write.
"""

from collections import deque
from threading import Condition, Thread
from typing import Any, Callable, Deque, Optional, Tuple

_MAX_SLEEP = 1.0  # seconds
_MAX_WAITING = 16  # pieces of at most 1 MiB: what bounds the memory


class Stage:
    """Calls ``act`` with what is ``put``, to be used with ``with``: all has been done when the block ends."""

    def __init__(self, act: Callable[..., object], most_waiting: int = _MAX_WAITING) -> None:
        self._act = act
        self._most_waiting = most_waiting
        self._waiting: Deque[Tuple[Any, ...]] = deque()  # the first of them is being done
        self._changed = Condition()
        self._ended = False
        self._failure: Optional[BaseException] = None

    def __enter__(self) -> "Stage":
        # A daemon, and one that looks up now and then: Ctrl-C may come while it is started, before anybody can end it.
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self._ended = True
            with self._changed:
                self._changed.notify_all()
            self._end()

    @property
    def full(self) -> bool:
        """Whether ``put`` would wait now: time for the caller to do something of the work itself."""
        return len(self._waiting) == self._most_waiting

    def put(self, *arguments: object) -> None:
        """Hand on; waits for an earlier one if too many are on their way, and raises what ``act`` raised."""
        with self._changed:
            while len(self._waiting) == self._most_waiting:
                self._changed.wait()
            if self._failure:
                raise self._failure
            self._waiting.append(arguments)
            self._changed.notify_all()

    def finish(self) -> None:
        """Wait until all has been done, and raise what ``act`` raised."""
        with self._changed:
            while self._waiting:
                self._changed.wait()
            if self._failure:
                raise self._failure

    def _work(self) -> None:
        try:
            while True:
                with self._changed:
                    while not self._waiting and not self._ended:
                        self._changed.wait(_MAX_SLEEP)
                    if self._ended:  # what still waits is dropped
                        return
                    arguments = self._waiting[0]
                self._act(*arguments)
                with self._changed:
                    self._waiting.popleft()
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is raised in the caller's thread
            with self._changed:
                self._failure = error
                self._waiting.clear()
                self._changed.notify_all()

    def _end(self) -> None:
        """Wait for the thread, Ctrl-C or not: afterwards its files may be closed."""
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self._thread.join()
            raise
