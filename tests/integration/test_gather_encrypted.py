"""Encrypted while it is written, by the programs of the site; opened with the private key only."""

import os
import subprocess
from pathlib import Path

import pytest

from corebox.actions.source import plain_bundle
from corebox.bundle.envelope import Filter, decrypt, envelope_for, is_encrypted
from corebox.errors import CoreboxError, HostError, InputError
from corebox.gather.cli import main
from corebox.unbundle.verify import verify_bundle
from tests.support.crashes import build_program
from tests.support.disks import small_disk


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, tuple[str, Path]]:
    """Recipient and identity of each kind."""
    key, certificate, public = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "public.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=vendor"]
    subprocess.run([*make, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    subprocess.run(
        ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)], check=True, capture_output=True
    )
    identity, recipients = tmp_path / "age.key", tmp_path / "age.pub"
    made = subprocess.run(["age-keygen", "-o", str(identity)], check=True, capture_output=True, text=True)
    recipient = made.stderr.split()[-1]
    recipients.write_text(recipient + "\n")
    return {
        "certificate": (str(certificate), key),
        "public key": (str(public), key),
        "age": (recipient, identity),
        "age file": (str(recipients), identity),
    }


@pytest.mark.parametrize("kind", ["certificate", "public key", "age", "age file"])
def test_comes_back_with_the_private_key_only(
    keys: dict[str, tuple[str, Path]], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recipient, identity = keys[kind]
    core = build_program(tmp_path / "app").crash()
    out = tmp_path / "x.corebox.enc"
    assert main([str(core), "-o", str(out), "--encrypt-to", recipient, "--no-nice"]) == 0
    assert is_encrypted(str(out))
    assert b"libfail" not in out.read_bytes()
    plain = tmp_path / "plain.corebox"
    with plain.open("wb") as file:
        decrypt(str(out), str(identity), file)
    verification = verify_bundle(plain)
    assert verification.ok
    printed = capsys.readouterr()
    assert f"identity:  {verification.identity}" in printed.out
    assert "warning" not in printed.err  # nobody but the receiver can read it


def samples(data: bytes) -> set[bytes]:
    """Of each block of 512 bytes that is no filling its most telling 16, to look for any block at once."""
    blocks = (data[start : start + 512] for start in range(0, len(data), 512))
    windows = ([block[at : at + 16] for at in range(0, len(block) - 15, 16)] for block in blocks if len(set(block)) > 1)
    return {max(each, key=lambda window: len(set(window))) for each in windows if each}


def blocks_in(data: bytes, file: bytes) -> int:
    """How many of the blocks of ``data`` stand in the file, wherever in it."""
    wanted = samples(data)
    return len({window for at in range(len(file) - 15) if (window := file[at : at + 16]) in wanted})


@pytest.mark.parametrize("kind", ["certificate", "public key", "age"])
@pytest.mark.parametrize("options", [(), ("--slim",)], ids=["whole", "slim"])
def test_no_block_of_the_core_is_readable(
    keys: dict[str, tuple[str, Path]], tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    recipient, identity = keys[kind]
    core = build_program(tmp_path / "app").crash()
    out, plain = tmp_path / "x.corebox.enc", tmp_path / "plain.corebox"
    assert main([str(core), "-o", str(out), "--encrypt-to", recipient, "--no-nice", *options]) == 0
    with plain.open("wb") as file:
        decrypt(str(out), str(identity), file)
    memory, compressed, encrypted = (path.read_bytes() for path in (core, plain, out))
    assert len(samples(memory)) > 100
    assert blocks_in(memory[5120:5632], os.urandom(1000) + memory[5120:5632] + os.urandom(1000)) == 1
    assert len(encrypted) > len(compressed) > 10_000
    assert blocks_in(memory, encrypted) == 0
    assert blocks_in(compressed, encrypted) == 0


@pytest.mark.parametrize("kind", ["certificate", "age"])
def test_a_disk_without_space_for_what_is_decrypted(
    keys: dict[str, tuple[str, Path]], tmp_path: Path, kind: str
) -> None:
    recipient, identity = keys[kind]
    core, out = build_program(tmp_path / "app").crash(), tmp_path / "x.corebox.enc"
    assert main([str(core), "-o", str(out), "--encrypt-to", recipient, "--no-nice"]) == 0
    with small_disk(tmp_path / "disk", str(out.stat().st_size // 2)) as disk, pytest.raises(HostError) as caught:
        plain_bundle(out, identity, None, disk)
    assert caught.value.code == "no-space"


@pytest.mark.parametrize("kind", ["certificate", "age"])
def test_another_key_opens_nothing(keys: dict[str, tuple[str, Path]], tmp_path: Path, kind: str) -> None:
    core = build_program(tmp_path / "app").crash()
    out = tmp_path / "x.corebox.enc"
    assert main([str(core), "-o", str(out), "--encrypt-to", keys[kind][0], "--no-nice"]) == 0
    wrong = tmp_path / "wrong"
    make = (
        ["openssl", "genrsa", "-out", str(wrong), "2048"] if kind == "certificate" else ["age-keygen", "-o", str(wrong)]
    )
    subprocess.run(make, check=True, capture_output=True)
    with (tmp_path / "plain").open("wb") as file, pytest.raises(HostError) as caught:
        decrypt(str(out), str(wrong), file)
    assert "report unexpected" not in caught.value.message
    assert "rsa_oaep.c" not in caught.value.message
    assert caught.value.code == "encryption-failed"


@pytest.mark.parametrize("kind", ["certificate", "age"])
def test_what_is_damaged_or_no_bundle_is_bad_input(
    keys: dict[str, tuple[str, Path]], tmp_path: Path, kind: str
) -> None:
    recipient, identity = keys[kind]
    envelope = envelope_for(recipient)
    out = tmp_path / "x.enc"
    with out.open("wb") as file:
        file.write(envelope.head)
        encryption = Filter(envelope.command, envelope.password, None, file)
        encryption.stdin.write(bytes(200_000))
        encryption.finish()
    whole = out.read_bytes()
    middle = len(whole) // 2
    damages = (whole[:-1], whole + b"x", whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    for number, data in enumerate((whole, *damages)):
        out.write_bytes(data)
        work = tmp_path / str(number)
        work.mkdir()
        with pytest.raises(InputError) as caught:
            plain_bundle(out, identity, None, work)
        damaged = kind == "age" and data is not whole  # CTR authenticates nothing: the bundle's own digests tell then
        assert caught.value.code == ("bundle-damaged" if damaged else "not-a-bundle")


def test_private_key_is_not_taken_for_a_recipient(
    keys: dict[str, tuple[str, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core = build_program(tmp_path / "app").crash()
    assert main([str(core), "-o", str(tmp_path / "x"), "--encrypt-to", str(keys["certificate"][1]), "--no-nice"]) == 2
    assert "contains no public key" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_plain_bundle_is_not_decrypted(tmp_path: Path) -> None:
    plain = tmp_path / "x"
    plain.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    with (tmp_path / "out").open("wb") as file, pytest.raises(CoreboxError) as caught:
        decrypt(str(plain), "none", file)
    assert caught.value.code == "not-encrypted"
