"""Writes a bundle to a pipe: for a site without room for it."""

import os
import select
from typing import BinaryIO, Union, cast

from corebox.bundle.layout import STREAM
from corebox.bundle.write import Content, WrittenBundle, cannot_write, write_content
from corebox.errors import HostError


def stream_bundle(descriptor: int, content: Content) -> WrittenBundle:
    """Write the bundle to an open pipe, socket or file: as ``write_bundle``, but what is written cannot be taken back.

    The path of what is returned is ``STREAM``; of an encrypted bundle its size is not known, and 0.

    Raises:
        InputError, HostError: those of ``write_bundle``; then what was written is not a bundle.
    """
    for file in content.sources.values():
        file.check_unchanged()
    pipe = _Pipe(descriptor)
    try:
        identity = write_content(cast(BinaryIO, pipe), content)
    except BrokenPipeError as error:
        raise HostError(
            "cannot-write", "whoever reads standard output has ended", "look at what the receiving program says"
        ) from error
    except OSError as error:
        raise cannot_write("standard output", error) from error
    return WrittenBundle(STREAM, identity, 0 if content.envelope else pipe.written)


class _Pipe:
    """Writes all that it is given, also where the descriptor was made not to wait."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.written = 0

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def flush(self) -> None:
        """Nothing is kept back."""

    def write(self, data: Union[bytes, memoryview]) -> int:
        """Write all of ``data``."""
        left = memoryview(data)
        while left:
            try:
                count = os.write(self._descriptor, left)
            except BlockingIOError:
                select.select([], [self._descriptor], [])
                continue
            left = left[count:]
            self.written += count
        return len(data)
