"""SHA256SUMS, the digest of a core's pages, and the identity of a bundle."""

import hashlib
import os
from array import array
from typing import Iterable, Optional, Tuple

from corebox.bundle import layout
from corebox.coredump import SHORTEST_HOLE

PAGE = 4096
_ZEROS = bytes(PAGE)


def identity_of(sums: bytes) -> str:
    """The identity of the bundle whose SHA256SUMS has these bytes."""
    return "sha256:" + hashlib.sha256(sums).hexdigest()


def format_sums(members: Iterable[Tuple[str, str]]) -> bytes:
    """SHA256SUMS for (member name, hex digest) in archive order; the digest of ``core`` is that of its pages."""
    return b"".join(_line(os.fsencode(name), digest.encode("ascii")) for name, digest in members)


def _line(name: bytes, digest: bytes) -> bytes:
    if name == layout.CORE.encode("ascii"):
        return b"# pages-sha256 " + digest + b"  core\n"
    escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    return (b"\\" if escaped != name else b"") + digest + b"  " + escaped + b"\n"


class PagesDigest:
    """SHA-256 over the runs of pages that are not all zeros, whether the zeros are holes or stored.

    Feed the stored bytes in ascending order with ``update``, then ask for ``hexdigest``.

    Attributes:
        holes: then, offset and size of each run of zeros that is at least ``SHORTEST_HOLE`` bytes long, in turns.
    """

    def __init__(self) -> None:
        self.holes: "array[int]" = array("q")
        self._hole = 0  # where the last run ended
        self._hash = hashlib.sha256()
        self._partial = bytearray()  # bytes of the page that is not complete yet
        self._offset = 0  # where the partial page begins
        self._run: Optional[int] = None

    def update(self, offset: int, data: bytes) -> None:
        """Take the stored bytes ``data`` at ``offset``, not before the end of what came last."""
        if offset > self._offset + len(self._partial):
            self._skip_to(offset)
        rest = memoryview(data)  # whose slices copy nothing
        if self._partial:
            taken = min(PAGE - len(self._partial), len(rest))
            self._partial += rest[:taken]
            rest = rest[taken:]
            self._flush()
        whole = len(rest) - len(rest) % PAGE
        self._take_pages(rest[:whole])
        self._partial += rest[whole:]

    def hexdigest(self, size: int) -> str:
        """The digest of a file of ``size`` bytes; call it once."""
        if self._partial:
            self._partial += bytes(min(PAGE, size - self._offset) - len(self._partial))
        self._take_pages(memoryview(bytes(self._partial)))
        self._end_run()
        self._end_hole(size)
        self._hash.update(size.to_bytes(8, "big"))
        return self._hash.hexdigest()

    def _skip_to(self, offset: int) -> None:
        """Fill the rest of the partial page and the beginning of the next one with the zeros of a hole."""
        page = offset - offset % PAGE
        if self._partial and self._offset != page:
            self._partial += bytes(PAGE - len(self._partial))
            self._flush()
        if not self._partial and self._offset != page:
            self._end_run()
            self._offset = page
        self._partial += bytes(offset - self._offset - len(self._partial))

    def _flush(self) -> None:
        if len(self._partial) == PAGE:
            page = memoryview(bytes(self._partial))
            self._partial = bytearray()
            self._take_pages(page)

    def _take_pages(self, data: memoryview) -> None:
        """Hash the non-zero pages of ``data``, which begins at the current page; only the file's last may be short."""
        begin: Optional[int] = None
        for at in range(0, len(data), PAGE):
            # Most pages of a core are told from zeros by their first byte.
            if data[at] or bytes(data[at : at + PAGE]) != _ZEROS[: len(data) - at]:
                if begin is None:
                    begin = at
                    if self._run is None:
                        self._run = self._offset + at
                        self._end_hole(self._run)
            elif begin is not None or self._run is not None:
                if begin is not None:
                    self._hash.update(data[begin:at])
                self._end_run(self._offset + at)
                begin = None
        if begin is not None:
            self._hash.update(data[begin:])
        self._offset += len(data)

    def _end_run(self, end: Optional[int] = None) -> None:
        if self._run is not None:
            self._hole = self._offset if end is None else end
            self._hash.update(self._run.to_bytes(8, "big") + (self._hole - self._run).to_bytes(8, "big"))
            self._run = None

    def _end_hole(self, end: int) -> None:
        if end - self._hole >= SHORTEST_HOLE:
            self.holes.extend((self._hole, end - self._hole))
