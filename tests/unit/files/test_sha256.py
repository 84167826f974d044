"""SHA-256 as ``hashlib`` has it, by OpenSSL's library itself."""

import hashlib

import pytest

from corebox.files.sha256 import Sha256, load_library, sha256


@pytest.mark.parametrize("pieces", [[], [b""], [b"abc"], [b"core"] * 1000, [bytes(1 << 20), b"\0end"]])
def test_it_is_the_same_digest(pieces: list[bytes]) -> None:
    library = load_library()
    assert library is not None, "every Debian has libcrypto: Python's ssl needs it"
    expected = hashlib.sha256(b"".join(pieces)).hexdigest()
    for digest in (Sha256(library), sha256()):
        for piece in pieces:
            digest.update(piece)
        assert digest.hexdigest() == expected
