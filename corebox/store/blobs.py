"""Blobs: files named by the SHA-256 of their bytes, written in one pass with the hash computed on a second thread."""

import hashlib
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from corebox.bundle.stage import Stage
from corebox.store.values import LAYER_TYPE, Descriptor

_CHUNK = 1 << 20
_MOST_WAITING = 4  # chunks that wait to be hashed


class BlobWriter:
    """A blob in the making, to be used with ``with``: without ``commit`` nothing of it is left."""

    def __init__(self, temporary: Path, blobs: Path) -> None:
        self._temporary = temporary
        self._blobs = blobs
        self._hash = hashlib.sha256()
        self._open = ExitStack()

    def __enter__(self) -> "BlobWriter":
        self._file = self._open.enter_context(self._temporary.open("xb", buffering=0))
        self._hashing = self._open.enter_context(Stage(self._hash.update, _MOST_WAITING))
        self.size = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._open.__exit__(kind, error, traceback)
        finally:
            self._temporary.unlink(missing_ok=True)

    def write(self, data: bytes) -> int:
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
            data = os.pread(descriptor, min(size, _CHUNK), offset)
            if not data:
                raise EOFError
            self.write(data)
            offset += len(data)
            size -= len(data)

    def commit(self, media_type: str = LAYER_TYPE) -> Descriptor:
        """Give the blob its name; if the store has it already, this one is dropped."""
        self._hashing.finish()
        digest = self._hash.hexdigest()
        self._file.close()
        self._temporary.chmod(0o600)
        self._temporary.replace(self._blobs / digest)
        return Descriptor(media_type, "sha256:" + digest, self.size)
