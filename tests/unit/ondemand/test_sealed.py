"""An age file at any offset: a file that age made, and files of chunks that are whole, cut, changed or swapped."""

import base64
import os
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from corebox.errors import InputError
from corebox.files.extents import read_at
from corebox.ondemand.mount import Unservable
from corebox.ondemand.sealed import CHUNK, open_sealed, parse_head

#: ``age -r`` for this key, of "a core that is not moved".
KEY = "AGE-SECRET-KEY-1PN6KESECCM2JQ2JXET09EMMCPVHKCXGWP423PQVX3QKTMLNAAEDSCZCT85"
BY_AGE = base64.b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBPQmNHQXpmZ2dOSFVpYzJWZEIzT1dCd2FzWjhGZllBRFdzdGhpNzByeVJJ"
    "CmR0ajNwYTI1MXd3a29venpuRUsrUGl1NUJJOTBGc09Tb09FQ2p6YWpUancKLS0tIGhRRmJ3Q0NJTUg3VzEzUU56aEM2U2JsNFpk"
    "TTdZTXRobnNwY3gwcHpucDQK4u9AvXnDgjtLiBYx8AT45KYVBHQf5L8JrUJDMX4n/trZli49cVW2/tUrxPR6dOENRod5acFKcgI="
)
FILE_KEY = bytes.fromhex("4da5f99936027c787cb524bcee8d48d0")
STORED = CHUNK + 16


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    path = tmp_path / "age.key"
    path.write_text(f"# created: 2026-12-01\n{KEY}\n")
    return path


def age_file(path: Path, content: bytes) -> Path:
    """The head of BY_AGE, and chunks of another content for its key."""
    _, signed, _ = parse_head(BY_AGE)
    start = len(signed) + 1 + 44 + 16
    nonce = BY_AGE[start - 16 : start]
    cipher = ChaCha20Poly1305(HKDF(SHA256(), 32, nonce, b"payload").derive(FILE_KEY))
    pieces = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)]
    nonces = [number.to_bytes(11, "big") + bytes([number == len(pieces) - 1]) for number in range(len(pieces))]
    chunks = [cipher.encrypt(nonce, piece, None) for nonce, piece in zip(nonces, pieces, strict=True)]
    path.write_bytes(BY_AGE[:start] + b"".join(chunks))
    return path


def test_what_age_encrypted_is_read(tmp_path: Path, identity: Path) -> None:
    path = tmp_path / "x.age"
    path.write_bytes(BY_AGE)
    with open_sealed(path, identity) as opened:
        assert (opened.name, opened.readable(), opened.seekable()) == (str(path), True, True)
        assert opened.read() == b"a core that is not moved"
        assert opened.seek(2) == 2
        assert opened.read(4) == b"core"
        assert opened.seek(-5, os.SEEK_END) == 19
        assert opened.seek(1, os.SEEK_CUR) == 20
        assert opened.read(100) == b"oved"
        assert opened.read(1) == b""


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_only_the_chunks_that_are_read_are_decrypted(
    tmp_path: Path, identity: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    asked: list[int] = []

    def counted(descriptor: int, offset: int, length: int) -> bytes:
        asked.append(length)
        return read_at(descriptor, offset, length)

    path = age_file(tmp_path / "x.age", content[:size])
    monkeypatch.setattr("corebox.ondemand.sealed.read_at", counted)
    with open_sealed(path, identity) as opened:
        assert opened.seek(0, os.SEEK_END) == size
        opened.seek(max(0, size - 3))
        del asked[:]
        assert opened.read(9) == content[max(0, size - 3) : size]
        assert sum(asked) <= 2 * STORED
        opened.seek(0)
        assert opened.read() == content[:size]


@pytest.mark.parametrize("damage", ["changed", "swapped", "cut", "longer"])
def test_chunks_that_are_not_as_they_were_encrypted_are_refused(tmp_path: Path, identity: Path, damage: str) -> None:
    content = os.urandom(2 * CHUNK) + b"end"
    path = age_file(tmp_path / "x.age", content)
    data = bytearray(path.read_bytes())
    start = len(data) - 2 * STORED - 19
    first, second = data[start : start + STORED], data[start + STORED : start + 2 * STORED]
    if damage == "changed":
        data[start + STORED + 5] ^= 1
    elif damage == "swapped":
        data[start : start + 2 * STORED] = second + first
    elif damage == "cut":
        del data[start + 2 * STORED :]
    else:
        data += bytes(100)
    path.write_bytes(data)
    with open_sealed(path, identity) as opened:
        if damage != "swapped":
            assert opened.read(CHUNK) == content[:CHUNK]
        with pytest.raises(InputError, match=r"chunk \d of its envelope is not what was encrypted"):
            opened.read()


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (BY_AGE.replace(b"-> X25519", b"-> grease\n\n-> X25519"), "its header has been changed"),
        (BY_AGE[:40], "its header does not end"),
        (BY_AGE.replace(b"-> X25519 ", b"-> X25519 \xff"), "its envelope: "),
        (b"corebox-envelope-1\nAAAA\nSalted", "its header is malformed"),
        (b"corebox-envelope-1\n" + b"A" * 99, "its header is malformed"),
    ],
)
def test_a_damaged_head_is_told(tmp_path: Path, identity: Path, head: bytes, says: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(head)
    with pytest.raises(InputError, match=says):
        open_sealed(path, identity)


@pytest.mark.parametrize(
    "key",
    [
        "",
        KEY[:-8] + "QQQQQQQQ",
        "AGE-PLUGIN-YUBIKEY-1QQPQQQ",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IG9uZQ==\n-----END OPENSSH PRIVATE KEY-----\n",
    ],
)
def test_without_a_key_of_a_known_kind_parts_cannot_be_read(tmp_path: Path, key: str) -> None:
    path, identity = tmp_path / "x", tmp_path / "key"
    identity.write_text(key)
    for data in (BY_AGE, b"corebox-envelope-1\nAAAA\nSalted__12345678"):
        path.write_bytes(data)
        with pytest.raises((Unservable, InputError), match="no private key was given"):
            open_sealed(path, identity)


def test_without_the_library_parts_cannot_be_read(
    tmp_path: Path, identity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(Unservable, match=r"without corebox\[encryption\]"):
        open_sealed(tmp_path, identity)
