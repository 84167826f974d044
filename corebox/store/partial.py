"""A blob of which parts are there: a sparse file, and a list of the parts that were written to it whole."""

import contextlib
import os
import struct
import threading
from pathlib import Path

_RECORD = struct.Struct("<QQ")  # offset and size of a part
_LIST = ".parts"
#: So that each costs at most so much memory to take.
_PIECE = 1 << 20


class PartialBlob:
    """Parts of a blob in the file ``path``, which is made if need be; processes and threads may share it.

    What is read is as it was written, unless the machine or the disk failed: whoever reads checks it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        self._list = os.open(f"{path}{_LIST}", flags | os.O_APPEND, 0o600)
        os.utime(self._list)  # what is used stays
        self._parts: dict[int, int] = {}
        listed = os.pread(self._list, os.fstat(self._list).st_size // _RECORD.size * _RECORD.size, 0)
        for offset, size in _RECORD.iter_unpack(listed):
            self._parts[offset] = max(size, self._parts.get(offset, 0))

    def __enter__(self) -> "PartialBlob":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        os.close(self._list)

    def read(self, offset: int, size: int) -> bytes | None:
        """The part, if it is there."""
        if self._parts.get(offset, 0) < size:
            return None
        data = os.pread(self._file, size, offset)
        return data if len(data) == size else None

    def write(self, offset: int, data: bytes) -> None:
        """Keep a part; on a full disk it is not kept."""
        with self._lock, contextlib.suppress(OSError):
            os.pwrite(self._file, data, offset)
            os.write(self._list, _RECORD.pack(offset, len(data)))
            self._parts[offset] = len(data)

    def piece(self, offset: int) -> bytes:
        """What is there from ``offset`` on, at most a MiB; empty if nothing is."""
        return self.read(offset, min(self._parts.get(offset, 0), _PIECE)) or b""

    def next_part(self, offset: int) -> int | None:
        """Where the first part behind ``offset`` begins."""
        return min((each for each in self._parts if each > offset), default=None)


def remove_partial(path: Path) -> None:
    """Forget all of the blob whose parts are in ``path``."""
    Path(f"{path}{_LIST}").unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def trim_partials(folder: Path, limit: int) -> None:
    """Forget those used least lately, until the others have ``limit`` bytes at most."""
    blobs = [path for path in folder.iterdir() if path.suffix != _LIST]
    left = sum(path.stat().st_blocks * 512 for path in blobs)
    for path in sorted(blobs, key=lambda each: each.stat().st_mtime):
        if left <= limit:
            break
        left -= path.stat().st_blocks * 512
        remove_partial(path)
