"""Blocks that were read lately, each read once however many ask; and those that will be asked for next."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import NamedTuple

from corebox.bundle.blocks import BLOCK_SIZE
from corebox.ondemand.source import BlockError, BlockSource

#: Blocks in memory: 32 MiB, beside those that are being read.
_MAX_BLOCKS = 32
#: Seconds after which a reader gets an error instead of a block, and for which one that failed is not read again.
TIME_LIMIT, _DOUBT = 60.0, 5.0
#: Seconds between two looks whether the reader has given up, and for which nobody waits after that: gdb reads again
#: what Ctrl-C has ended.
_POLL, _CALM = 0.1, 1.0
_MAX_REPORTED = 8


class Interrupted(Exception):  # noqa: N818 - no error of ours
    """The reader does not want the block any more."""


class _Entry(NamedTuple):
    """A block, read or being read, and when that began."""

    block: "Future[bytes | _Failure]"
    begun: float


class _Failure(NamedTuple):
    """Why there is no block, and since when that is known."""

    error: BlockError
    since: float


class BlockCache:
    """The file that the blocks of ``source`` make up; ``tell`` is told of each block that cannot be had, once."""

    def __init__(self, source: BlockSource, tell: Callable[[str], object], time_limit: float = TIME_LIMIT) -> None:
        self.size = source.size
        self._source = source
        self._tell = tell
        self._time_limit = time_limit
        self._pool = ThreadPoolExecutor(source.at_once)
        self._lock = threading.Lock()
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._reported: set[int] = set()
        self._last, self._run = -2, 0
        self._ended = False
        self._given_up = -math.inf

    def end(self) -> None:
        """Let nobody wait any more."""
        self._ended = True

    def read(self, offset: int, size: int, gave_up: Callable[[], bool] = lambda: False) -> bytes:
        """The bytes at ``offset``, fewer at the end of the core.

        Raises:
            BlockError: a block of them cannot be had.
            Interrupted: ``gave_up`` said so, now or just before.
        """
        end = min(offset + size, self.size)
        return b"".join(self._parts(offset, end, gave_up))

    def _parts(self, offset: int, end: int, gave_up: Callable[[], bool]) -> Iterator[bytes]:
        while offset < end:
            index, within = divmod(offset, BLOCK_SIZE)
            part = self._block(index, gave_up)[within : within + end - offset]
            yield part
            offset += len(part)

    def _block(self, index: int, gave_up: Callable[[], bool]) -> bytes:
        entry = self._asked(index)
        while True:
            try:
                block = entry.block.result(_POLL)
            except FutureTimeoutError:  # noqa: PERF203 - each waits for a server
                if gave_up():
                    self._given_up = time.monotonic()
                if self._ended or time.monotonic() - self._given_up < _CALM:
                    raise Interrupted from None
                if time.monotonic() - entry.begun > self._time_limit:
                    late = BlockError(f"it did not come within {self._time_limit:g} s", lasting=False)
                    self._report(index, late)
                    raise late from None
            else:
                if isinstance(block, bytes):
                    return block
                self._report(index, block.error)
                raise BlockError(str(block.error), lasting=block.error.lasting)

    def _asked(self, index: int) -> _Entry:
        """The block that a reader wants now, and begin with those behind it if it is one of a run."""
        with self._lock:
            if index not in (self._last, self._last + 1):
                self._run = 0
            elif index == self._last + 1:
                self._run += 1
            self._last = index
            entry = self._entry(index)
            last = -(-self.size // BLOCK_SIZE) - 1
            for following in range(index + 1, min(index + min(2 * self._run, self._source.ahead), last) + 1):
                self._entry(following)
            self._entries.move_to_end(index)
            for old in list(self._entries)[: len(self._entries) - _MAX_BLOCKS]:
                if self._entries[old].block.done():
                    del self._entries[old]
            return entry

    def _entry(self, index: int) -> _Entry:
        entry = self._entries.get(index)
        if entry is None or _is_to_try_again(entry):
            entry = self._entries[index] = _Entry(self._pool.submit(self._read, index), time.monotonic())
        return entry

    def _read(self, index: int) -> bytes | _Failure:
        """The block, or why not: an error that was raised would keep in memory what it was read from."""
        try:
            return self._source.read_block(index)
        except BlockError as error:
            failed = BlockError(str(error), lasting=error.lasting)
        except OSError as error:  # such as a failing disk's
            failed = BlockError(str(error.strerror), lasting=False)
        return _Failure(failed, time.monotonic())

    def _report(self, index: int, error: BlockError) -> None:
        """Report a block, once, and of many only the first ones."""
        with self._lock:
            if index in self._reported or len(self._reported) > _MAX_REPORTED:
                return
            self._reported.add(index)
            many = len(self._reported) > _MAX_REPORTED
        begin, end = index * BLOCK_SIZE, min((index + 1) * BLOCK_SIZE, self.size)
        what = f"bytes {begin} to {end - 1} of the core cannot be read: {error}"
        self._tell("more of the core cannot be read" if many else what)


def _is_to_try_again(entry: _Entry) -> bool:
    """Whether it failed, for a reason that may have passed."""
    if not entry.block.done():
        return False
    if entry.block.exception():  # none that we know
        return time.monotonic() - entry.begun > _DOUBT
    failed = entry.block.result()
    return isinstance(failed, _Failure) and not failed.error.lasting and time.monotonic() - failed.since > _DOUBT
