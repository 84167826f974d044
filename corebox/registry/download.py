"""Downloads one blob and goes on where it was cut, by a range request (OCI distribution spec, "Pulling blobs")."""

import hashlib
from collections.abc import Iterator

from corebox.registry.client import Client
from corebox.registry.faults import TransientError, digest_mismatch
from corebox.registry.moving import Moving
from corebox.store.partial import PartialBlob
from corebox.store.values import Descriptor
from corebox.web import HTTPError, Response

_CHUNK = 1 << 20


def download_blob(client: Client, blob: Descriptor, moving: Moving, kept: PartialBlob | None = None) -> Iterator[bytes]:
    """Yield the blob in pieces; the last comes only if all were right.

    Parts that are ``kept`` are not fetched again.

    Raises:
        InputError: ``digest-mismatch``.
        HostError: ``registry-unreachable``, ``registry-failed``.
    """
    digest = hashlib.sha256()
    offset = 0
    retrying = moving.retrying()
    while offset < blob.size:
        try:
            for piece, fetched in _pieces(client, blob, offset, kept):
                digest.update(piece)
                offset += len(piece)
                if offset > blob.size:
                    raise digest_mismatch(f"{blob.digest} is longer than {blob.size} bytes")
                if offset == blob.size and "sha256:" + digest.hexdigest() != blob.digest:
                    raise digest_mismatch(f"the digest of {blob.digest} is sha256:{digest.hexdigest()}")
                moving.moved(fetched)
                retrying.renew()
                yield piece
                if offset == blob.size:
                    return
        except TransientError as cut:  # noqa: PERF203 - once per cut, not per piece
            retrying.wait(cut)


def _pieces(client: Client, blob: Descriptor, offset: int, kept: PartialBlob | None) -> Iterator[tuple[bytes, int]]:
    """Pieces from ``offset`` on, each with how many bytes were fetched for it: a kept one, or those up to the next."""
    held = kept.piece(offset) if kept else b""
    if held:
        yield held, 0
        return
    until = kept.next_part(offset) if kept else None
    for piece in _read_from(client, blob, offset, until):
        yield piece, len(piece)


def _read_from(client: Client, blob: Descriptor, offset: int, until: int | None) -> Iterator[bytes]:
    end = "" if until is None else str(until - 1)
    headers = {"Range": f"bytes={offset}-{end}"} if offset or end else {}
    url = client.url(f"blobs/{blob.digest}")
    answer = client.call("GET", url, "send a blob", expect=(200, 206), headers=headers, stream=True)
    begins = _begins_at(answer, offset)
    skip = 0 if begins else offset
    left = until - offset if until is not None and begins else None
    try:
        while piece := answer.read(_CHUNK if left is None else min(_CHUNK, left)):
            if len(piece) > skip:
                yield piece[skip:]
            skip = max(0, skip - len(piece))
            left = None if left is None else left - len(piece)
            if left == 0:
                return
    except HTTPError as error:
        raise TransientError(f"{type(error).__name__} while downloading") from error
    finally:
        answer.close()
    raise TransientError("the connection ended early")  # else the caller had enough and came not back


def _begins_at(answer: Response, offset: int) -> bool:
    """Whether the answer is the rest that was asked for, not all of it again."""
    return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
