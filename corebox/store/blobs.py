"""Blobs: files named by the SHA-256 of their bytes, written in one pass with the hash computed on a second thread."""

import hashlib
import os
from collections import deque
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType

from corebox.files.stage import Stage
from corebox.store.values import LAYER_TYPE, Descriptor

_CHUNK = 1 << 20
_MAX_WAITING = 4  # chunks that wait to be hashed


class BlobWriter:
    """A blob in the making, to be used with ``with``: without ``commit`` nothing of it is left."""

    def __init__(self, temporary: Path, blobs: Path) -> None:
        self._temporary = temporary
        self._blobs = blobs
        self._hash = hashlib.sha256()
        self._open = ExitStack()

    def __enter__(self) -> "BlobWriter":
        self._file = self._open.enter_context(self._temporary.open("x+b", buffering=0))
        self._hashing = self._open.enter_context(Stage(self._hash.update, _MAX_WAITING))
        self.size = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._open.__exit__(kind, error, traceback)
        finally:
            self._temporary.unlink(missing_ok=True)

    @cached_property
    def _buffers(self) -> deque[memoryview]:
        """As many as can be in use: those that wait and one more. New memory each time would cost as much as a hash."""
        return deque(memoryview(bytearray(_CHUNK)) for _ in range(_MAX_WAITING + 1))

    def fileno(self) -> int:
        """The descriptor of the file, which can be read as far as ``size``."""
        return self._file.fileno()

    def write(self, data: bytes | memoryview) -> int:
        """Append ``data`` and return its length, as a file's ``write`` does."""
        self._hashing.put(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(data)
        return len(data)

    def copy_range(self, descriptor: int, offset: int, size: int) -> None:
        """Append ``size`` bytes of an open file from ``offset`` on.

        Raises:
            EOFError: the file ends before.
        """
        while size:
            self._buffers.rotate()
            count = os.preadv(descriptor, [self._buffers[0][: min(size, _CHUNK)]], offset)
            if not count:
                raise EOFError
            self.write(self._buffers[0][:count])
            offset += count
            size -= count

    def digest(self) -> str:
        """The digest of what has been written."""
        self._hashing.finish()
        return "sha256:" + self._hash.hexdigest()

    def commit(self, media_type: str = LAYER_TYPE) -> Descriptor:
        """Give the blob its name; if the store has it already, this one is dropped."""
        blob = Descriptor(media_type, self.digest(), self.size)
        self._file.close()
        self._temporary.chmod(0o600)
        self._temporary.replace(self._blobs / blob.digest.partition(":")[2])
        return blob
