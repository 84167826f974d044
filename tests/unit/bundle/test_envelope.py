"""Envelopes and keys that are not what they should be; those that need age or openssl are in the integration tests."""

import os
from pathlib import Path

import pytest

from corebox.actions.source import plain_bundle
from corebox.bundle.envelope import AGE_MAGIC, OPENSSL_MAGIC, decrypt
from corebox.errors import InputError, UsageError


@pytest.mark.parametrize(
    "envelope",
    [
        AGE_MAGIC + b"-> X25519 ",
        AGE_MAGIC + b"-> X25519 " + b"A" * (1 << 20) + b"\n--- AAAA\n",  # age would hold all of it, and print it
        OPENSSL_MAGIC + b"A",
        OPENSSL_MAGIC + b"no base64\n",
    ],
)
def test_a_head_that_is_none_is_damage(tmp_path: Path, envelope: bytes) -> None:
    (tmp_path / "x.enc").write_bytes(envelope)
    with (tmp_path / "out").open("wb") as out, pytest.raises(InputError) as caught:
        decrypt(str(tmp_path / "x.enc"), "none", out)
    assert caught.value.code == "bundle-damaged"


def test_a_key_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.enc").write_bytes(OPENSSL_MAGIC)
    os.mkfifo(tmp_path / "key")  # openssl would wait for who writes into it
    for identity in (tmp_path / "key", Path("/dev/zero")):
        with pytest.raises(UsageError) as caught:
            plain_bundle(tmp_path / "x.enc", identity, None, tmp_path)
        assert caught.value.code == "no-identity"
