"""Messages of the Debug Adapter Protocol, read from who cannot be trusted."""

import io
import json

import pytest

from corebox.debugger.messages import MAX_SIZE, read_message, write_message
from corebox.errors import InputError


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def test_messages_come_one_after_the_other() -> None:
    stream = io.BytesIO()
    for number in (1, 2):
        write_message(stream, {"seq": number, "text": "ü\n"})
    stream.seek(0)
    assert [read_message(stream) for _ in range(3)] == [
        {"seq": 1, "text": "ü\n"},
        {"seq": 2, "text": "ü\n"},
        None,
    ]


def test_what_ends_in_the_middle_has_ended() -> None:
    whole = framed(b'{"seq": 1}')
    assert [read_message(io.BytesIO(whole[:size])) for size in (0, 20, len(whole) - 1)] == [None, None, None]


def test_other_headers_of_the_protocol_are_allowed() -> None:
    header = b"content-length: 2\r\nContent-Type: application/json; charset=utf-8\r\n\r\n"
    assert read_message(io.BytesIO(header + b"{}")) == {}


@pytest.mark.parametrize(
    "data",
    [
        # What a web page can make a browser send.
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1:4711\r\nContent-Length: 2\r\n\r\n{}",
        b"\r\n\r\n{}",
        b"Content-Length: 2\r\n" * 9 + b"\r\n{}",
        b"Content-Length: -1\r\n\r\n{}",
        b"Content-Length: 1e1\r\n\r\n{}",
        b"Content-Length: %d\r\n\r\n" % (MAX_SIZE + 1),
        b"Content-Length: 99999999999999999999\r\n\r\n",
        b"A" * 1000,
        framed(b"[]"),
        framed(b"{"),
        framed(b'"' + b"\xff" + b'"'),
        framed(b'{"value": NaN}'),
        framed(b"[" * 200000 + b"]" * 200000),
        framed(b'{"value": ' + b"9" * 10000 + b"}"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read_message(io.BytesIO(data))
    assert caught.value.code == "bad-message"


def test_each_object_can_be_changed() -> None:
    stream = io.BytesIO(framed(json.dumps({"body": {"frames": [{"a": 1}]}}).encode()))
    changed = read_message(stream, lambda value: {**value, "a": 2} if "a" in value else value)
    assert changed == {"body": {"frames": [{"a": 2}]}}
