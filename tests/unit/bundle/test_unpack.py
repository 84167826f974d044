"""The core's layer is hashed by one thread, and written by whoever has time."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from corebox.bundle import unpack
from corebox.bundle.compression import Stream
from corebox.bundle.tarformat import FILE, Member, padding

_PIECE = 1 << 20


def test_who_is_ahead_writes_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out of memory comes faster than it can be hashed."""
    writers = set()

    def write_all(descriptor: int, data: bytes, offset: int) -> None:
        writers.add(threading.get_ident())
        assert os.pwrite(descriptor, data, offset) == len(data)

    monkeypatch.setattr(unpack, "write_all", write_all)
    pieces = [b"\x7fELF\x02\x01\x01" + bytes(_PIECE - 7), *(bytes([n]) * _PIECE for n in range(1, 100))]
    member = Member(b"core", FILE, len(pieces) * _PIECE + 1, 0o600, 0)
    stream = Stream(iter([*pieces, b"z" + bytes(padding(member.size))]))
    with unpack.new_file(tmp_path, member) as descriptor:
        digest = unpack.copy_core(stream, member, descriptor, tmp_path)
    layer = (tmp_path / "core").read_bytes()
    assert b"".join(pieces) + b"z" in layer
    assert digest == hashlib.sha256(layer).hexdigest()
    assert len(writers) == 2, "one thread wrote all"
