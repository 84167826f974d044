"""Threads that do the same to one thing after the other, and hand the results on in order.

Hashing, compressing and reading release the interpreter's lock; so do they use all processors.
Not made of ``concurrent.futures``, which brings the whole of logging with it: that takes longer to import than most
crashes take to write.
"""

from collections import deque
from threading import Condition, Thread
from typing import Any, Callable, Deque, Iterable, Iterator, List, Optional, Tuple

_MAX_SLEEP = 1.0  # seconds


class _Task:
    """What one call was given, and what came of it."""

    def __init__(self, arguments: Tuple[Any, ...]) -> None:
        self.arguments = arguments
        self.done = False
        self.result: Any = None
        self.failure: Optional[BaseException] = None


class Crew:
    """Calls ``act`` with what is ``put``, on ``jobs`` threads, to be used with ``with``."""

    def __init__(self, act: Callable[..., Any], jobs: int) -> None:
        self._act = act
        self._jobs = max(1, jobs)
        self._todo: Deque[_Task] = deque()
        self._order: Deque[_Task] = deque()
        self._changed = Condition()
        self._ended = False
        self._threads: List[Thread] = []

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            _join(thread)

    def __len__(self) -> int:
        """How many results have not been taken yet."""
        return len(self._order)

    def put(self, *arguments: object) -> None:
        """Have this done; never waits, so the caller bounds what is on its way."""
        task = _Task(arguments)
        self._order.append(task)
        with self._changed:
            self._todo.append(task)
            self._changed.notify_all()
        if len(self._threads) < min(self._jobs, len(self._order)):
            # A daemon, and one that looks up now and then: Ctrl-C may come while it is started.
            self._threads.append(Thread(target=self._work, daemon=True))
            self._threads[-1].start()

    def take(self) -> Any:
        """The result of the earliest that was not taken; waits for it, and raises what ``act`` raised."""
        task = self._order.popleft()
        with self._changed:
            while not task.done:
                self._changed.wait()
        if task.failure:
            raise task.failure
        return task.result

    def each(self, items: Iterable[object]) -> Iterator[Any]:
        """What ``act`` returns for each of the items, in order; few are on their way at a time."""
        for item in items:
            self.put(item)
            if len(self) > self._jobs + 1:
                yield self.take()
        while len(self):
            yield self.take()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._todo and not self._ended:
                    self._changed.wait(_MAX_SLEEP)
                if self._ended:  # what still waits is dropped
                    return
                task = self._todo.popleft()
            try:
                task.result = self._act(*task.arguments)
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is raised in the caller's thread
                task.failure = error
            with self._changed:
                task.done = True
                self._changed.notify_all()


def _join(thread: Thread) -> None:
    """Wait for the thread, Ctrl-C or not: afterwards its files may be closed."""
    try:
        thread.join()
    except KeyboardInterrupt:
        thread.join()
        raise
