"""Blobs: files named by the SHA-256 of their bytes, written in one pass with the hash computed on a second thread."""

import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from corebox.store.values import LAYER_TYPE, Descriptor

_CHUNK = 1 << 20
_MOST_WAITING = 4  # chunks that wait to be hashed: what bounds the memory


class BlobWriter:
    """A blob in the making, to be used with ``with``: without ``commit`` nothing of it is left.

    hashlib releases the interpreter's lock for large buffers, so hashing runs beside reading and writing.
    """

    def __init__(self, temporary: Path, blobs: Path) -> None:
        self._temporary = temporary
        self._blobs = blobs
        self._hash = hashlib.sha256()
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> "BlobWriter":
        self._file = self._temporary.open("xb", buffering=0)
        self._hasher = ThreadPoolExecutor(1)
        self.size = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hasher.shutdown()
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def write(self, data: bytes) -> int:
        """Append ``data`` and return its length, as a file's ``write`` does."""
        self._waiting.append(self._hasher.submit(self._hash.update, data))
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft().result()
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
            data = os.pread(descriptor, min(size, _CHUNK), offset)
            if not data:
                raise EOFError
            self.write(data)
            offset += len(data)
            size -= len(data)

    def commit(self, media_type: str = LAYER_TYPE) -> Descriptor:
        """Give the blob its name; if the store has it already, this one is dropped."""
        while self._waiting:
            self._waiting.popleft().result()
        digest = self._hash.hexdigest()
        self._file.close()
        self._temporary.chmod(0o600)
        self._temporary.replace(self._blobs / digest)
        return Descriptor(media_type, "sha256:" + digest, self.size)
