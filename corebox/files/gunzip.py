"""gzip, member by member."""

import zlib
from typing import Any, Callable, Iterator, Type

WRAPPED = 31  # zlib: a gzip wrapper around a 32 KiB window
_CHUNK = 1 << 20


def _member() -> Any:
    return zlib.decompressobj(WRAPPED)


def gunzip(
    pieces: Iterator[bytes], member: Callable[[], Any] = _member, refusal: Type[Exception] = zlib.error
) -> Iterator[bytes]:
    """The content of the gzip members in ``pieces``, in pieces of at most 1 MiB.

    zlib copies what follows a member: the longer the pieces are, the more is copied for each of many tiny members.

    Args:
        pieces: of the compressed file; none is empty.
        member: makes what decompresses one member, as ``zlib.decompressobj`` does.
        refusal: what that raises for data that is not gzip.

    Raises:
        ValueError: it is not gzip, or ends early; all that was good has been given before.
    """
    data = next(pieces, b"")
    while data:
        one = member()
        while not one.eof:
            data = data or next(pieces, b"")
            if not data:
                raise ValueError("it ends early")
            try:
                piece = one.decompress(data, _CHUNK)
            except refusal as error:
                raise ValueError("gzip says: {}".format(error)) from error
            data = one.unconsumed_tail
            if piece:
                yield piece
        data = one.unused_data or next(pieces, b"")
