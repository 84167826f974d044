"""A core that stays in an encrypted bundle: the chunks that gdb needs are decrypted, and none is on the disk."""

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from corebox.bundle.envelope import decrypt
from corebox.errors import InputError
from corebox.ondemand.sealed import open_sealed
from tests.support.dense import LOOK, MiB, crash_dense, frames_in, nothing_is_left, size_of
from tests.support.lab import Lab

ON_DEMAND, WHOLE = ("--core", "on-demand"), ("--core", "whole")
CHUNK = 1 << 16

Key = tuple[str, Path]


def age_key(folder: Path) -> Key:
    path = folder / "age.key"
    made = subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True, text=True)
    return made.stderr.split()[-1], path


def ssh_key(kind: str) -> Callable[[Path], Key]:
    def make(folder: Path) -> Key:
        key = Ed25519PrivateKey.generate() if kind == "ed25519" else generate_private_key(65537, 2048)
        path = folder / kind
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        path.chmod(0o600)
        return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(), path

    return make


def pem_key(folder: Path) -> Key:
    words = "req -x509 -newkey rsa:2048 -nodes -subj /CN=vendor -keyout key.pem -out cert.pem"
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
    return str(folder / "cert.pem"), folder / "key.pem"


KEYS = {"age": age_key, "ssh-ed25519": ssh_key("ed25519"), "ssh-rsa": ssh_key("rsa"), "certificate": pem_key}


@pytest.fixture(scope="module")
def core(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crash_dense(tmp_path_factory.mktemp("dense"))


def gather(core: Path, folder: Path, recipient: str) -> Path:
    bundle = folder / "x.corebox.enc"
    Lab(folder / "gathering").done("gather", core, "-o", bundle, "--no-nice", "--encrypt-to", recipient)
    return bundle


@pytest.mark.parametrize("kind", KEYS)
def test_what_is_read_is_what_the_program_decrypts(core: Path, tmp_path: Path, kind: str) -> None:
    """Any part by any kind of key, at chunks' borders and at random, as ``age`` or ``openssl`` decrypt the whole."""
    recipient, identity = KEYS[kind](tmp_path)
    sealed = gather(core, tmp_path, recipient)
    plain = tmp_path / "plain"
    with plain.open("wb") as file:
        decrypt(str(sealed), str(identity), file)
    expected = plain.read_bytes()
    chance = random.Random(3)
    with open_sealed(sealed, identity) as opened:
        assert opened.seek(0, os.SEEK_END) == len(expected)
        opened.seek(0)
        assert opened.read(100) + opened.read(MiB) == expected[: 100 + MiB]
        read_at = opened.read_at  # type: ignore[attr-defined]
        borders = [(CHUNK - 1, 2), (CHUNK, CHUNK), (0, 1), (len(expected) - 1, 5), (len(expected), 5)]
        for offset, size in borders + [(chance.randrange(len(expected)), chance.randrange(MiB)) for _ in range(50)]:
            assert read_at(offset, size) == expected[offset : offset + size]


@pytest.mark.parametrize("kind", ["age", "certificate"])
def test_gdb_says_the_same_and_nothing_is_decrypted_on_the_disk(
    fresh_lab: Lab, core: Path, tmp_path: Path, kind: str
) -> None:
    recipient, identity = KEYS[kind](tmp_path)
    bundle = gather(core, tmp_path, recipient)
    options = ("--identity", identity)
    look = [word for command in LOOK for word in ("-ex", command)]
    words = ("shell", bundle, "--engine", "bubblewrap", *options)
    before = size_of(fresh_lab.home)
    first = fresh_lab.done(*words, *ON_DEMAND, "--", "-batch", *look)
    assert len(frames_in(first.output)) > 10
    beside_roots = size_of(fresh_lab.home) - size_of(fresh_lab.home / "roots")
    assert beside_roots < before + MiB, "of the bundle nothing is kept but its files"
    assert fresh_lab.done("images", "--json").json["images"] == []
    assert nothing_is_left(fresh_lab.home)
    assert fresh_lab.done("info", bundle, *options, "--json").json["manifest"]["core"]["included"]
    assert frames_in(fresh_lab.done(*words, *WHOLE, "--", "-batch", *look).output) == frames_in(first.output)


def test_a_changed_chunk_is_an_error_at_its_place(fresh_lab: Lab, core: Path, tmp_path: Path) -> None:
    recipient, identity = age_key(tmp_path)
    bundle = gather(core, tmp_path, recipient)
    with bundle.open("r+b") as file:
        file.seek(24 * MiB)
        file.write(b"changed")
    dump = ("-ex", "dump binary memory /dev/null words words+count", "-ex", "print 6 * 7")
    words = ("shell", bundle, "--engine", "bubblewrap", "--identity", identity, "--", "-batch", *dump)
    done = fresh_lab.corebox(*words)
    assert "= 42" in done.output
    assert done.errors.count("of its envelope is not what was encrypted") == 1
    assert nothing_is_left(fresh_lab.home)


def test_who_has_not_the_key_is_told(fresh_lab: Lab, core: Path, tmp_path: Path) -> None:
    recipient, identity = age_key(tmp_path)
    bundle = gather(core, tmp_path, recipient)
    (tmp_path / "another").mkdir()
    _, other = age_key(tmp_path / "another")
    words = ("shell", bundle, "--engine", "bubblewrap")
    assert "--identity FILE" in fresh_lab.corebox(*words).errors
    wrong = fresh_lab.corebox(*words, "--identity", other, "--", "-batch")
    assert (wrong.status, "identity" in wrong.errors) == (4, True), wrong.errors
    refused = fresh_lab.corebox(*words, "--identity", other, *ON_DEMAND, "--", "-batch")
    assert refused.status == 4
    assert "no private key was given that opens parts" in refused.errors
    os.truncate(bundle, 10 * MiB)
    with open_sealed(bundle, identity) as opened:
        opened.seek(-1, os.SEEK_END)
        with pytest.raises(InputError, match="of its envelope"):
            opened.read(1)
