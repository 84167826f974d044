"""Reads answers of servers that may say anything, at any length."""

import json

from corebox.errors import system_message
from corebox.registry.faults import TransientError
from corebox.web import HTTPError, Response

#: Bytes of an answer that is read for what it says about an error, or to use its connection again.
_SMALL = 1 << 16


def read_body(answer: Response, most: int = _SMALL) -> bytes:
    """At most so many bytes of the body; its connection is used again only if that was all.

    Raises:
        TransientError: the connection broke.
    """
    body = b""
    try:
        while len(body) < most and (piece := answer.read(most - len(body))):
            body += piece
    except HTTPError as error:
        raise TransientError(reason(error)) from error
    finally:
        answer.close()
    return body


def read_json(data: bytes) -> object:
    """What a JSON text says; None for another text, and for one so deep that nobody means it."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value


def reason(error: Exception) -> str:
    """What went wrong, as shortly as urllib3's errors allow."""
    inner = getattr(error, "reason", None) or (error.args[-1] if error.args else error)
    text = str(inner)
    return system_message(error) or f"{type(error).__name__}: {text.rpartition('>: ')[2]:.200}"
