"""The core on its way to the disk: hashed and written by threads beside the one that reads."""

import hashlib
from pathlib import Path

import pytest

from corebox.bundle.tarformat import FILE, Member, padding
from corebox.unbundle import unpack
from corebox.unbundle.compression import Stream

_PIECE = 1 << 20


@pytest.mark.parametrize(("hash_layer", "hash_blocks"), [(True, True), (True, False), (False, True)])
def test_what_is_wanted_is_hashed_and_nothing_is_lost(tmp_path: Path, hash_layer: bool, hash_blocks: bool) -> None:
    pieces = [b"\x7fELF\x02\x01\x01" + bytes(_PIECE - 7), *(bytes([n]) * _PIECE for n in range(1, 40))]
    member = Member(b"core", FILE, len(pieces) * _PIECE + 1, 0o600, 0)
    stream = Stream(iter([*pieces, b"z" + bytes(padding(member.size))]))
    with unpack.new_file(tmp_path, member) as descriptor:
        copied = unpack.copy_core(stream, member, descriptor, tmp_path, hash_layer, hash_blocks)
    layer = (tmp_path / "core").read_bytes()
    assert b"".join(pieces) + b"z" in layer
    lines = [hashlib.sha256(piece).hexdigest() + "\n" for piece in [*pieces, b"z"]]
    assert copied.layer == (hashlib.sha256(layer).hexdigest() if hash_layer else None)
    assert copied.digests == ("".join(lines).encode() if hash_blocks else None)
