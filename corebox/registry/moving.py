"""Moves several blobs at once: progress, retrying with a registry that is away for a moment, and stopping together."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from corebox.registry.faults import TransientError, unreachable

Result = TypeVar("Result")
Progress = Callable[[int], None]

#: Seconds between attempts when nothing moves; a registry that is restarted is back within their sum.
DELAYS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
_AT_ONCE = 4


class _Stopped(Exception):  # noqa: N818 - ends a thread when another one has failed
    pass


class Moving:
    """What the threads of one push or pull share; ``host`` is for messages, ``progress`` is told bytes as they move."""

    def __init__(self, host: str, progress: Progress) -> None:
        self._host = host
        self._progress = progress
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.total = 0

    def moved(self, count: int) -> None:
        """Count ``count`` bytes that have gone over the network."""
        if self._stop.is_set():
            raise _Stopped
        with self._lock:
            self.total += count
            self._progress(count)

    def retrying(self) -> "Retrying":
        """Retrying for one blob."""
        return Retrying(self._host, self._stop)

    def with_retries(self, act: Callable[[], Result]) -> Result:
        """Call ``act`` until it is not cut.

        Raises:
            HostError: ``registry-unreachable``.
        """
        retrying = self.retrying()
        while True:
            try:
                return act()
            except TransientError as cut:  # noqa: PERF203 - each attempt takes a request
                retrying.wait(cut)

    def all(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        """Run the tasks, some at once; the first error ends all."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            futures = [pool.submit(task) for task in tasks]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                errors = [future.exception() for future in futures if future.done()]
                for error in errors:
                    if error is not None and not isinstance(error, _Stopped):
                        raise error
                return [future.result() for future in futures]
            finally:
                if not all(future.done() for future in futures):
                    self._stop.set()
                for future in futures:
                    future.cancel()


class Retrying:
    """How often something that is cut again and again is tried: ``renew`` it whenever something has moved."""

    def __init__(self, host: str, stop: threading.Event) -> None:
        self._host = host
        self._stop = stop
        self._left = list(DELAYS)

    def renew(self) -> None:
        """Forget earlier failures."""
        self._left = list(DELAYS)

    def wait(self, cut: TransientError) -> None:
        """Wait before the next attempt.

        Raises:
            HostError: ``registry-unreachable`` if it has been tried enough.
        """
        if not self._left:
            raise unreachable(self._host, cut) from cut
        if self._stop.wait(max(self._left.pop(0), cut.wait)):
            raise _Stopped
