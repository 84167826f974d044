"""Content-addressed files: a blob gets its name, its digest, when the last byte is written."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from corebox.store.values import LAYER_TYPE, Descriptor

CHUNK = 1 << 20


class BlobWriter:
    """One blob on its way into the store: hashed while it is written, nothing of it held in memory."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append ``data``."""
        view = memoryview(data)
        self._hash.update(view)
        self.size += len(view)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def copy(self, source: int, size: int) -> None:
        """Append ``size`` bytes of the descriptor ``source`` from its beginning.

        Raises:
            EOFError: the source is shorter.
        """
        buffer = memoryview(bytearray(CHUNK))
        offset = 0
        while offset < size:
            count = os.preadv(source, [buffer[: min(CHUNK, size - offset)]], offset)
            if not count:
                raise EOFError(offset)
            self.write(buffer[:count])
            offset += count

    def append_from(self, produce: Callable[[int], None]) -> None:
        """Let ``produce`` write to the file itself, at its current position, and take up what it wrote."""
        produce(self._descriptor)
        buffer = memoryview(bytearray(CHUNK))
        while count := os.preadv(self._descriptor, [buffer], self.size):
            self._hash.update(buffer[:count])
            self.size += count

    @property
    def digest(self) -> str:
        """The digest of what has been written so far."""
        return "sha256:" + self._hash.hexdigest()


class Blobs:
    """The ``blobs`` folder of an OCI image layout; new ones are written in ``scratch`` first."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder = folder
        self._scratch = scratch

    def path(self, digest: str) -> Path:
        """Where the blob is, or would be."""
        algorithm, _, value = digest.partition(":")
        return self._folder / algorithm / value

    def has(self, digest: str) -> bool:
        """Whether the blob is there."""
        return self.path(digest).is_file()

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """A blob to write; it gets its name when the block ends, and leaves nothing if it ends with an exception."""
        descriptor, temporary = tempfile.mkstemp(dir=self._scratch)
        try:
            writer = BlobWriter(descriptor)
            yield writer
            Path(temporary).rename(self.path(writer.digest))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def add(self, data: bytes, media_type: str = LAYER_TYPE) -> Descriptor:
        """Add a small blob."""
        with self.writer() as writer:
            writer.write(data)
        return Descriptor(media_type, writer.digest, writer.size)
